# The agent is restarted, killed and stopped while stages are running.
check "its main process is in a leaf of its group" in_leaf

check "a stage starts in its own group" start_stage 5
check "the record says so" test "$(detail containment)" = cgroup
check "and in a sandbox, where the host has bubblewrap" test "$(detail isolation)" = "$(
    if inside test -x /usr/bin/bwrap; then echo sandbox; else echo none; fi)"
before=$(main_pid)
give_any
check "restart" inside systemctl restart stage-agent
check "is ready again" eventually ready
check "by another process" test "$(main_pid)" != "$before"
stored() { inside systemctl show -P NFileDescriptorStore stage-agent; }
check "systemd keeps its memory of earlier secrets" same "$(stored)" 1
check "the stage goes on" alive
check "and ends with its own exit code and whole log" ends_truly 5

start_stage 6
before=$(main_pid)
give_any
inside kill -KILL "$before"
check "kill -9: systemd starts it again" eventually another
check "in its leaf, with the stage in the unit's group" in_leaf
check "and passes it the memory of before" same "$(stored)" 1
check "the stage goes on" alive
check "and ends with its own exit code and whole log" ends_truly 6

start_stage 7
give_any
check "stop leaves the stage" inside systemctl stop stage-agent
check "alive" alive
check "and ExecStopPost has taken the controllers back" no_controllers_given
check "so that it starts again" inside systemctl start stage-agent
check "is ready" eventually ready
check "and the stage ends with its own exit code and whole log" ends_truly 7

start_stage 8
api "/api/runs/$run/stop" -X POST >/dev/null
check "a stopped stage is STOPPED" test "$(detail cause)" = STOPPED
gone() { ! inside test -e "$group/stages/$stage.1"; }
check "and no process is left" gone
check "ends by itself" inside systemctl stop stage-agent
check "without a failure" test "$(inside systemctl is-active stage-agent || true)" = inactive
inside systemctl start stage-agent
check "it starts again" eventually ready
