# The unit without its .socket unit: the agent listens itself, and its keeper holds the port while it restarts.
inside cp -p /etc/stage-agent/stage-agent.properties /tmp/before
inside sed -i '/^http.socket/d' /etc/stage-agent/stage-agent.properties
inside sh -c 'echo "http.socket = /var/lib/stage-agent/api.sock" >>/etc/stage-agent/stage-agent.properties'
inside systemctl stop stage-agent.socket stage-agent.service
inside systemctl mask --runtime stage-agent.socket 2>/dev/null
check "without the .socket unit it starts" inside systemctl start stage-agent.service
check "and is ready" eventually ready
keepers() { inside pgrep -fc '^stage-shim --keep /var/lib/stage-agent$' || true; }
check "with a keeper" test "$(keepers)" = 1
run=$(api /api/runs -d '{"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":
    "perl -MIO::Socket::IP -e '"'"'$| = 1; print \"tries\\n\"; until (-e \"go\") { for (\"127.0.0.1\", \"::1\") { IO::Socket::IP->new(LocalHost => $_, LocalPort => 7824, Listen => 1, ReuseAddr => 1) and print \"took $_\\n\" } select undef, undef, undef, 0.001 }'"'"'"}}]}}' | field id)
stage=$(api "/api/stages?runId=$run" | field id)
check "a stage tries to take the port" eventually tries
try=$run try_stage=$stage
# The keeper must not stand in the unit's own group: it would get no controllers.
check "the keeper stays beside the agent" inside sh -c 'grep -q "/stage-agent.service/agent$" "/proc/$(pgrep -f "^stage-shim --keep /var/lib/stage-agent$")/cgroup"'
check "a stage with limits runs beside it" start_stage 0
check "in a group of its own" alive
if inside test -e "$group/stages/$stage.1/memory.max"; then
    check "with its limit of memory" test "$(inside cat "$group/stages/$stage.1/memory.max")" = 67108864
fi
if inside test -e "$group/stages/$stage.1/pids.max"; then
    check "and of processes" test "$(inside cat "$group/stages/$stage.1/pids.max")" = 50
fi
let_go
check "and ends" eventually ended SUCCESS
run=$try stage=$try_stage
for _ in 1 2; do
    inside systemctl restart stage-agent.service
    eventually ready
    before=$(main_pid)
    inside kill -KILL "$before"
    eventually another
done
inside systemctl stop stage-agent.service
sleep 1
inside systemctl start stage-agent.service
check "the agent is ready" eventually ready
check "in three restarts and two crashes it never gets it" test "$(api "/api/stages/$stage/log")" = tries
check "by one keeper" test "$(keepers)" = 1
let_go
check "the stage ends" eventually ended SUCCESS
inside systemctl stop stage-agent.service
check "the keeper ends with an agent that has no stage" test "$(keepers)" = 0
check "and leaves no file" eval '! inside test -e /var/lib/stage-agent/keeper.sock'
inside cp -p /tmp/before /etc/stage-agent/stage-agent.properties
inside systemctl unmask --runtime stage-agent.socket 2>/dev/null
inside systemctl start stage-agent.socket stage-agent.service
check "with the unit again it is ready" eventually ready
check "and has no keeper" test "$(keepers)" = 0
