# Restarts, crashes and stops of the agent at any moment, while sandboxed stages come and go: every end is true.
inside sed -i 's/^#executor.slots = .*/executor.slots = 4/' /etc/stage-agent/stage-agent.properties
inside systemctl restart stage-agent
eventually ready
submit() { # CODE: a run of two stages, the second of which exits with it; prints the run's id
    api /api/runs -d '{"pipeline":{"stages":[
        {"type":"BUILD","plugin":"shell","with":{"command":"for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done"}},
        {"type":"OTHER","plugin":"shell","with":{"command":"echo last; exit '"$1"'"}}]}}' | grep -o '"id":"[^"]*' | head -n 1 | cut -d '"' -f 4
}
declare -A code_of=()
for round in $(seq 12); do
    inside systemctl reset-failed stage-agent.service 2>/dev/null || true
    for one in 1 2 3; do
        run=$(submit "$((round + one))" || true)
        [[ -z $run ]] || code_of[$run]=$((round + one))
    done
    sleep "0.$((RANDOM % 10))"
    give_any
    case $((round % 4)) in
    0) inside systemctl restart stage-agent.service ;;
    1) inside systemctl stop stage-agent.socket stage-agent.service; inside systemctl start stage-agent.socket stage-agent.service ;;
    *) inside kill -KILL "$(main_pid)" 2>/dev/null || true ;;
    esac
done
check "the agent is ready" eventually ready
# 0-7 of each are in the log of the first stage, and nothing twice; the second one has its own code.
wrong=""
for run in "${!code_of[@]}"; do
    eventually eval '[[ $(api "/api/runs/$run" | field status) == FAILURE ]]' || wrong+=" $run: not ended;"
    mapfile -t stages < <(api "/api/stages?runId=$run" | grep -o '{"id":"[^"]*' | cut -d '"' -f 4)
    [[ $(api "/api/stages/${stages[0]}/log" | tr '\n' ' ') == "1 2 3 4 5 6 7 8 " ]] || wrong+=" $run: log of the first stage;"
    stage=${stages[1]}
    [[ "$(detail cause) $(detail exitCode) $(detail attempt)" == "EXIT ${code_of[$run]} 1" ]] || wrong+=" $run: $(api "/api/stages/$stage");"
done
check "of ${#code_of[@]} runs over twelve ends of the agent each ends with its own exit code and whole log" same "$wrong" ""
check "at least thirty were asked for" test "${#code_of[@]}" -ge 30
no_stage_left() { [[ -z $(inside find "$group/stages" -mindepth 1 -maxdepth 1 -type d 2>/dev/null) ]]; }
check "no process is left" eventually no_stage_left
inside sed -i 's/^executor.slots = 4/#executor.slots = 2/' /etc/stage-agent/stage-agent.properties
inside systemctl restart stage-agent
eventually ready
