# systemd ends and restarts an agent that hangs, and shows what it does.
inside mkdir -p /run/systemd/system/stage-agent.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=4\n" >/run/systemd/system/stage-agent.service.d/test.conf'
inside systemctl daemon-reload
inside systemctl restart stage-agent
eventually ready
start_stage 13
status_is() { [[ $(inside systemctl show -P StatusText stage-agent) == "$1" ]]; }
check "systemctl status says what runs" eventually status_is "1 running, 0 queued"
before=$(main_pid)
inside kill -STOP "$before"
another_one() { [[ $(main_pid) != "$before" && $(main_pid) != 0 ]] && ready; }
check "an agent that hangs is restarted" eventually another_one
# Not `| grep -q`: it ends at the first match, and journalctl, which goes on, fails.
check "by the watchdog" eval '[[ $(inside journalctl -u stage-agent --no-pager) == *"Watchdog timeout"* ]]'
check "its stage goes on" alive
check "and ends with its own exit code and whole log" ends_truly 13
before=$(main_pid)
fed() { [[ $(inside systemctl show -P WatchdogTimestampMonotonic stage-agent) -gt $1 ]]; }
first=$(inside systemctl show -P WatchdogTimestampMonotonic stage-agent)
check "one that works is not" eventually fed "$((first + 5000000))"
check "and goes on" test "$(main_pid)" = "$before"
inside rm -r /run/systemd/system/stage-agent.service.d
inside systemctl daemon-reload
inside systemctl restart stage-agent
check "with the unit's own interval it starts" eventually ready
