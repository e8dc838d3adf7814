set -eux
# Plugins would be downloaded: what runs without any. Java's home is that of /etc/passwd, not $HOME.
mvn -B -o -Dmaven.repo.local="$HOME/.m2/repository" validate
