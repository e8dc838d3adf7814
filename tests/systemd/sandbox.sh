# Stages in sandboxes, and without, under the unit: ProtectProc=invisible hides their shims from the agent.
have_bwrap() { inside test -x /usr/bin/bwrap; }
shim_of() { inside pgrep -f "^stage-shim /var/lib/stage-agent/runs/.*/$run/" | head -n 1; }
# As the agent sees the host: in its mount namespace, as its user.
as_agent() { nsenter -t "$leader" -m -p -r -w nsenter -t "$(main_pid)" -m setpriv --reuid=stage-agent --regid=stage-agent --clear-groups "$@"; }
outcome() { echo "$(detail status) $(detail cause)"; }
ends() { [[ $(outcome) == "$1" ]]; }
nothing_left() { ! inside test -e "$group/stages/$stage.1" && ! inside pgrep -f "$run" >/dev/null; }
service() { # NAME: the stages of one, in a service, as what an inline pipeline may not have needs
    inside tee "/etc/stage-agent/services.d/$1.yaml" >/dev/null
    inside chown root:stage-agent "/etc/stage-agent/services.d/$1.yaml"
    inside chmod 0640 "/etc/stage-agent/services.d/$1.yaml"
}
start_service() { # NAME; sets run, stage, pid
    run=$(api /api/runs -d "{\"service\":\"$1\"}" | field id)
    stage=$(api "/api/stages?runId=$run" | field id)
    eventually stage_runs || return 1
    pid=$(stage_pid)
}
crash() { before=$(main_pid); give_any; inside kill -KILL "$before"; eventually another; }

inside sh -c 'printf "isolation.none_allowed = open, clock\n" >>/etc/stage-agent/stage-agent.properties'
service open <<'YAML'
name: open
isolation: none
stages:
  - { type: BUILD, plugin: shell, with: { command: "echo before; until test -e go; do sleep 0.1; done; echo after; exit 21" } }
YAML
service clock <<'YAML'
name: clock
isolation: none
stages:
  - type: OTHER
    plugin: shell
    with:
      command: busctl get-property org.freedesktop.timedate1 /org/freedesktop/timedate1 org.freedesktop.timedate1 NTPSynchronized
YAML
inside systemctl restart stage-agent
eventually ready

check "a stage without a sandbox starts" start_service open
check "its record says so" test "$(detail isolation)" = none
check "the agent does not see its shim" eval '! as_agent test -e "/proc/$(shim_of)"'
check "the agent is killed" crash
check "the stage is adopted" test "$(detail status)" = IN_PROGRESS
check "and ends with its own exit code and whole log" ends_truly 21

# As the agent does, for its filter refuses adjtimex(2): agent/run/ClockState.
knows_the_clock() {
    run=$(api /api/runs -d '{"service":"clock"}' | field id)
    stage=$(api "/api/stages?runId=$run" | field id)
    eventually ended SUCCESS && [[ $(api "/api/stages/$stage/log") == "b "* ]]
}
check "under the unit one can ask whether the clock is synchronised" knows_the_clock

if have_bwrap; then
    start_stage 22
    check "a stage is in a sandbox" test "$(detail isolation)" = sandbox
    check "the agent does not see its shim" eval '! as_agent test -e "/proc/$(shim_of)"'
    for round in 1 2; do
        check "the agent is killed ($round)" crash
        check "the stage is adopted ($round)" test "$(detail status)" = IN_PROGRESS
    done
    give_any
    check "restart" inside systemctl restart stage-agent
    eventually ready
    check "the stage is adopted" alive
    check "and ends with its own exit code and whole log" ends_truly 22
    check "without a process left" eventually nothing_left

    start_stage 23
    inside kill -KILL "$(shim_of)"
    check "a shim that is killed is a lost one" eventually ends "FAILURE SHIM_LOST"
    check "without a process left" eventually nothing_left

    start_stage 24
    shim=$(shim_of)
    inside systemctl stop stage-agent.socket stage-agent.service
    check "a shim is killed" inside kill -KILL "$shim"
    check "the agent starts" inside systemctl start stage-agent.socket stage-agent.service
    eventually ready
    check "also where the agent is not there at that moment" eventually ends "FAILURE SHIM_LOST"
    check "without a process left" eventually nothing_left

    start_stage 25
    inside kill -STOP "$(shim_of)"
    check "one that is stopped goes on, and ends with its own exit code and whole log" ends_truly 25

    start_stage 26
    crash
    check "a stage of a killed agent is stopped" test -n "$(api "/api/runs/$run/stop" -X POST | grep -F '"executionsStopped":1')"
    check "which is STOPPED" ends "FAILURE STOPPED"
    check "without a process left" eventually nothing_left

    # What it must not reach; each line of its log is something that it did reach.
    inside sh -c 'umask 077; echo hidden >/etc/stage-agent/secrets/OTHER; chown stage-agent: /etc/stage-agent/secrets/OTHER'
    service hostile <<'YAML'
name: hostile
stages:
  - type: BUILD
    plugin: shell
    with:
      command: |
        for file in /etc/stage-agent/secrets/OTHER /etc/stage-agent/stage-agent.properties /var/lib/stage-agent/record.db \
            /var/lib/stage-agent/admin.token /run/stage-agent/api.sock /run/systemd/private /run/dbus/system_bus_socket \
            /run/credentials/stage-agent.service /var/lib/stage-agent/keeper.sock; do
            # What hides a file or a folder is empty.
            if test -S "$file" || test -n "$(cat "$file" 2>/dev/null; ls -A "$file/" 2>/dev/null)"; then echo "reaches $file"; fi
        done
        for folder in /etc /usr/bin /var/lib/stage-agent /sys/fs/cgroup /var/spool /etc/stage-agent/services.d; do
            if (: >"$folder/of-a-stage") 2>/dev/null; then echo "writes to $folder"; fi
        done
        for process in /proc/[0-9]*; do
            if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q '^/usr/bin/stage-agent\|^stage-agent '; then echo "sees $process"; fi
        done
        if (exec 3<>/dev/tcp/127.0.0.1/7824) 2>/dev/null; then :; fi
        if curl -sf http://127.0.0.1:7824/api/runs >/dev/null; then echo "asks the API"; fi
        if sudo -n true 2>/dev/null; then echo "is root"; fi
        if mount -t tmpfs tmpfs /mnt 2>/dev/null; then echo "mounts"; fi
        echo done
YAML
    inside systemctl reload stage-agent
    run=$(api /api/runs -d '{"service":"hostile"}' | field id)
    stage=$(api "/api/stages?runId=$run" | field id)
    check "a hostile stage" eventually ends "SUCCESS EXIT"
    check "reaches nothing of the agent" same "$(api "/api/stages/$stage/log")" done

    service alone <<'YAML'
name: alone
network: none
stages:
  - { type: BUILD, plugin: shell, with: { command: "ls /sys/class/net; ! curl -s --max-time 5 http://127.0.0.1:7824/healthz" } }
YAML
    inside systemctl reload stage-agent
    run=$(api /api/runs -d '{"service":"alone"}' | field id)
    stage=$(api "/api/stages?runId=$run" | field id)
    check "network: none" eventually ends "SUCCESS EXIT"
    inside rm /etc/stage-agent/secrets/OTHER
fi
inside rm -f /etc/stage-agent/services.d/{open,clock,hostile,alone}.yaml
inside sed -i '/^isolation.none_allowed = open/d' /etc/stage-agent/stage-agent.properties
inside systemctl restart stage-agent
check "the agent is ready" eventually ready
