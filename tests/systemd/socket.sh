# The addresses belong to systemd: operators use the Unix socket, and no stage gets the port.
as() { inside runuser -u "$1" -- "${@:2}"; }
exit_of() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
inside useradd --create-home --groups stage-agent-operators alice
inside useradd --create-home bob

check "the Unix socket is the operators'" test "$(mode_of /run/stage-agent/api.sock)" = "660 root:stage-agent-operators"
check "an operator starts a run without a token" as alice stagectl run hello --follow
check "another user may not" test "$(exit_of as bob stagectl --agent unix:///run/stage-agent/api.sock runs)" != 0
check "nor the agent's own, which stages are" test "$(exit_of as stage-agent curl -sf --unix-socket /run/stage-agent/api.sock http://localhost/healthz)" = 7
check "the history names the operator" \
    eval '[[ $(api "/api/runs/$(api "/api/runs?limit=1" | field id)/history") == *\"actor\":\"alice\"* ]]'

# A stage that tries to have the agent's addresses, all the time.
run=$(api /api/runs -d '{"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":
    "perl -MIO::Socket::IP -e '"'"'$| = 1; print \"tries\\n\"; until (-e \"go\") { for (\"127.0.0.1\", \"::1\") { IO::Socket::IP->new(LocalHost => $_, LocalPort => 7824, Listen => 1, ReuseAddr => 1) and print \"took $_\\n\" } select undef, undef, undef, 0.001 }'"'"'"}}]}}' | field id)
stage=$(api "/api/stages?runId=$run" | field id)
check "a stage tries to take the port" eventually tries
# Requests meanwhile.
inside sh -c 'while [ ! -e /tmp/enough ]; do curl -s -o /dev/null --max-time 20 http://127.0.0.1:7824/healthz || echo "exit $?"; done' >"$machine/refused" &
requests=$!
for _ in 1 2 3; do inside systemctl restart stage-agent; done
inside kill -KILL "$(main_pid)"
sleep 0.1
eventually ready
check "the same version again, with dpkg" install_package --reinstall "$old"
eventually ready
inside touch /tmp/enough
wait "$requests"
check "in four restarts, a crash and an upgrade it never gets it" test "$(api "/api/stages/$stage/log")" = tries
# The answer to a request that is being served at the crash is lost: connection closed (52) or reset (56).
check "and no request is refused" test -z "$(grep -vxE 'exit (52|56)' "$machine/refused")"
let_go

inside systemctl stop stage-agent.service
check "a request starts the agent where only the service was stopped" test -n "$(api /healthz)"

# The credentials.
inside sh -c 'umask 077; echo key >/etc/stage-agent/tls/key.pem'
inside systemctl restart stage-agent
credentials=/run/credentials/stage-agent.service
check "a TLS key reaches the agent and nobody else" \
    eval '[[ $(as stage-agent cat $credentials/tls_key.pem) == key && $(exit_of as alice cat $credentials/tls_key.pem) != 0 ]]'
inside rm /etc/stage-agent/tls/key.pem
inside sh -c 'umask 077; od -An -tx1 -N32 /dev/urandom | tr -d " \n" >/etc/stage-agent/tokens/run.ci'
status_with_token() { inside sh -c 'sed "s/^/Authorization: Bearer /" "$1" | curl -s -o /dev/null -w "%{http_code}" -H @- http://127.0.0.1:7824/api/runs' sh "$1"; }
inside systemctl restart stage-agent
inside mv /etc/stage-agent/tokens/run.ci /tmp/run.ci
check "a token reaches the agent" test "$(status_with_token /tmp/run.ci)" = 200
inside systemctl restart stage-agent
check "and is valid no longer than it is there" test "$(status_with_token /tmp/run.ci)" = 401
eventually ready

# Not the same addresses.
inside cp -p /etc/stage-agent/stage-agent.properties /tmp/before
inside sed -i 's/^#http.port = .*/http.port = 7825/' /etc/stage-agent/stage-agent.properties
check "another port than the unit's is refused" test "$(exit_of inside systemctl restart stage-agent)" != 0
check "as a wrong configuration, without another try" test "$(inside systemctl show -P ExecMainStatus stage-agent) $(inside systemctl is-active stage-agent || true)" = "78 failed"
inside cp -p /tmp/before /etc/stage-agent/stage-agent.properties
inside systemctl reset-failed stage-agent.service
inside systemctl restart stage-agent
check "and accepted again" eventually ready
# A configuration of before the unit says nothing of the socket.
inside sed -i '/^http.socket/d; /^auth.operators_group/d' /etc/stage-agent/stage-agent.properties
inside systemctl restart stage-agent
check "without http.socket the unit's is taken" eventually ready
check "which is not wrong" no_failure_in "$(inside stagectl --json doctor)"
check "and its group are the operators" as alice stagectl --agent unix:///run/stage-agent/api.sock run hello
inside cp -p /tmp/before /etc/stage-agent/stage-agent.properties
inside systemctl restart stage-agent
eventually ready
