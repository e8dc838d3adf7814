# Sourced by scripts/test-systemd. How the suites ask and count.
passed=0 failed=0
check() { # WHAT COMMAND…
    if "${@:2}"; then
        echo "ok: $1"
        passed=$((passed + 1))
    else
        echo "FAILED: $1"
        failed=$((failed + 1))
    fi
}
eventually() { # COMMAND…: within 30 s
    for _ in $(seq 300); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}
same() { [[ $1 == "$2" ]] || { echo "found: $1"; return 1; }; } # FOUND WANTED
# The header by a pipe: every user can read a command line.
api() {
    inside sh -c 'sed "s/^/Authorization: Bearer /" /var/lib/stage-agent/admin.token |
        curl -sS --max-time 20 -H @- -H "Content-Type: application/json" "$@"' sh "${@:2}" "http://127.0.0.1:7824$1"
}
active() { [[ $(inside systemctl is-active stage-agent 2>/dev/null) == active ]]; }
ready() { active && api /readyz >/dev/null 2>&1; }
another() { ready && [[ $(main_pid) != "$before" ]]; } # than $before
main_pid() { inside systemctl show -P MainPID stage-agent; }
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; } # the first such key of a JSON object on stdin
no_failure_in() { [[ $1 == *'"status"'* && $1 != *'"status":"fail"'* ]] || { echo "$1"; return 1; }; } # FINDINGS
group=/sys/fs/cgroup/system.slice/stage-agent.service

tries() { [[ $(api "/api/stages/$stage/log") == tries* ]]; } # to take the port
# Starts a stage that exits with $1 once released; sets run, stage, pid.
start_stage() {
    run=$(api /api/runs -d '{"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":
        "echo before; until test -e go; do sleep 0.1; done; echo after; exit '"$1"'"},
        "limits":{"memory":"64MiB","pids":50}}]}}' | field id)
    stage=$(api "/api/stages?runId=$run" | field id)
    eventually stage_runs || return 1
    pid=$(stage_pid)
}
stage_pid() { inside sed -n 1p "$group/stages/$stage.1/cgroup.procs" 2>/dev/null; }
stage_runs() { [[ -n $(stage_pid) ]]; }
alive() { inside test -d "/proc/$pid"; }
let_go() { inside touch "/var/lib/stage-agent/runs/${run:0:2}/$run/workspace/go"; }
detail() { api "/api/stages/$stage" | field "$1"; }
ended() { [[ $(detail status) == "$1" ]]; }
ends_truly() { # EXIT CODE
    let_go && eventually ended FAILURE && [[ $(detail cause) == EXIT && $(detail exitCode) == "$1" ]] &&
        [[ $(api "/api/stages/$stage/log") == $'before\nafter' ]]
}
# As an agent that enforces limits does: the unit's group enables controllers for its children, and so can't
# contain processes until they are disabled.
give_any() {
    for controller in memory pids cpu io $spare; do
        if give_controller "$controller"; then return 0; fi
    done
    echo "skipped: no controller can be given to the groups below the unit's"
}
in_leaf() { inside grep -qx "0::/system.slice/stage-agent.service/agent" "/proc/$(main_pid)/cgroup"; }
no_controllers_given() { [[ -z $(inside find "$group" -name cgroup.subtree_control -exec cat {} +) ]]; }
# If there is no other, one that the product does not use.
give_controller() {
    local of
    for of in /sys/fs/cgroup /sys/fs/cgroup/system.slice "$group"; do
        inside sh -c "echo +$1 >$of/cgroup.subtree_control" 2>/dev/null || return 1
    done
}
