# The package is removed, installed again, and purged.
dpkg_quietly() { inside dpkg "$@" >>"$machine/apt" 2>&1; }
start_stage 11
check "remove" dpkg_quietly --remove stage-agent-dev stage-agent
check "the agent has ended" test "$(inside systemctl is-active stage-agent || true)" = inactive
check "the stage goes on" alive
check "configuration and record stay" inside test -s /etc/stage-agent/stage-agent.properties -a -s /var/lib/stage-agent/record.db
let_go
check "installed again" install_package "$new"
check "the agent is ready" eventually ready
check "and tells how the stage ended" ends_truly 11

start_stage 12
check "purge" dpkg_quietly --purge stage-agent
check "ends stages" eventually eval '! alive'
check "and leaves no file" test "$(things)" = "$before_install"
check "but the user and the group of the agent" inside id -u stage-agent
