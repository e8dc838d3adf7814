# A plugin in C++ is built with the development package alone, and used by the installed agent.
check "stage-agent-dev is installed" install_package /packages/stage-agent-dev_99.0_all.deb
inside mkdir -p /tmp/greet
inside cp /source/tests/support/plugins/greet/Greet.cpp /source/tests/support/plugins/greet/plugin.yaml /tmp/greet/
inside tee /tmp/greet/CMakeLists.txt >/dev/null <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(greet LANGUAGES CXX)
find_package(StageAgentPlugin 0.1 REQUIRED)
stage_agent_add_plugin(greet SOURCES Greet.cpp)
CMAKE
build_plugin() { inside sh -c 'cd /tmp/greet && cmake -G Ninja -B build && cmake --build build' >"$machine/plugin" 2>&1 || { cat "$machine/plugin"; return 1; }; }
check "the example builds against it" build_plugin
check "it is put beside the services" inside cp -r /tmp/greet/build/bin/plugins/greet /etc/stage-agent/plugins/
inside systemctl restart stage-agent
eventually ready || true
run=$(api /api/runs -d '{"pipeline":{"stages":[{"type":"BUILD","plugin":"greet","with":{"who":"Ada"}}]}}' | field id)
run_succeeded() { [[ $(api "/api/runs/$run" | field status) == SUCCESS ]]; }
check "and runs" eventually run_succeeded
inside rm -rf /etc/stage-agent/plugins/greet
