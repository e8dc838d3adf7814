# A newer version is installed while stages are running.
inside sed -i 's/^#stage.grace = .*/stage.grace = 3s/' /etc/stage-agent/stage-agent.properties
start_stage 9
before=$(main_pid)
give_any
check "an upgrade" install_package "$new"
check "the agent is ready" eventually ready
check "it is another process" test "$(main_pid)" != "$before"
check "the stage goes on" alive
check "and ends with its own exit code and whole log" ends_truly 9
check "the operator's configuration is kept" inside grep -qx 'stage.grace = 3s' /etc/stage-agent/stage-agent.properties
start_stage 10
check "the same version again" install_package --reinstall "$new"
check "the agent is ready" eventually ready
check "the stage goes on" alive
check "and ends with its own exit code and whole log" ends_truly 10
