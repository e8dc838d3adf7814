# An earlier version that was installed without a package, whose stages run while the package replaces it. Only with
# --earlier.
# It knew no token, and no socket unit.
plain() { inside curl -sS --max-time 20 -H 'Content-Type: application/json' "http://127.0.0.1:7824$1" "${@:2}"; }
plainly_ready() { active && plain /readyz >/dev/null 2>&1; }
inside dpkg --purge stage-agent stage-agent-dev >>"$machine/apt" 2>&1
inside cp -a /packages/earlier/. /
inside systemd-sysusers
inside systemd-tmpfiles --create 2>/dev/null || true
inside systemctl daemon-reload
check "the earlier version starts" inside systemctl start stage-agent
check "and is ready" eventually plainly_ready
run=$(plain /api/runs -d '{"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":
    "echo before; until test -e go; do sleep 0.1; done; echo after; exit 14"}}]}}' | field id)
stage=$(plain "/api/stages?runId=$run" | field id)
check "a stage of it runs" eventually stage_runs
pid=$(stage_pid || true)
before=$(main_pid)
check "the package is installed over it" install_package -o Dpkg::Options::=--force-confold "$new"
check "the agent is ready" eventually ready
check "it is another process" test "$(main_pid)" != "$before"
check "listening is systemd's" inside systemctl is-active -q stage-agent.socket
check "the stage goes on" alive
check "under the agent that was installed" test "$(detail status)" = IN_PROGRESS
check "and ends with its own exit code and whole log" ends_truly 14
before=$(main_pid)
check "a new stage is in a sandbox" start_stage 15
check "as its record says" test "$(detail isolation)" = "$(if inside test -x /usr/bin/bwrap; then echo sandbox; else echo none; fi)"
let_go
check "nothing is wrong with the host" no_failure_in "$(inside stagectl --json doctor)"
