set -eux
echo served >file
python3 -u -m http.server 0 --bind 127.0.0.1 >server.log 2>&1 &
trap 'kill $!' EXIT
until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' server.log) && test -n "$port"; do sleep 0.05; done
test "$(curl -fsS "http://localhost:$port/file")" = served
python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen()'
python3 -c 'import socket; socket.create_server(("::1", 0), family=socket.AF_INET6)'
