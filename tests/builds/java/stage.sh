set -eux
javac -d classes src/app/Main.java
jar --create --file app.jar --main-class app.Main -C classes .
java -jar app.jar
