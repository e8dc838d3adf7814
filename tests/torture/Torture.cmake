# torture-tests: what the agent must survive. scripts/test runs a slice of each suite, scripts/torture more.
add_executable(torture-tests
    $<TARGET_OBJECTS:daemon_support>
    tests/torture/Rounds.cpp
    tests/torture/Plan.cpp
    tests/torture/Record.cpp
    tests/torture/Survivors.cpp
    tests/torture/Trial.cpp
    tests/torture/Places.cpp
    tests/torture/Helpers.cpp
    tests/torture/AskedRuns.cpp
    tests/torture/Keeping.cpp
    tests/torture/KeepingChecks.cpp
    tests/torture/Lodging.cpp
    tests/torture/KillTest.cpp
    tests/torture/RestartTest.cpp
    tests/torture/ShimKillTest.cpp
    tests/torture/ForgeryTest.cpp
    tests/torture/EscapeTest.cpp
    tests/torture/FullDiskTest.cpp
    tests/torture/FailpointTest.cpp
    tests/torture/SeededBugsTest.cpp
    tests/torture/SyncOrderTest.cpp
    tests/torture/PowerLossTest.cpp
    tests/torture/PipelineFileTest.cpp
    tests/torture/KeepKillTest.cpp
    tests/torture/KeepPlacesTest.cpp
    tests/torture/WorkspaceKillTest.cpp
    tests/torture/FillingDiskTest.cpp
    tests/torture/ClockTest.cpp)
target_link_libraries(torture-tests PRIVATE agent_wire Poco::Net SQLite::SQLite3 OpenSSL::SSL cppunit)
target_compile_definitions(torture-tests PRIVATE
    STAGE_AGENT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    STAGE_AGENT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    STAGE_AGENT_FAILPOINT_DIR="${CMAKE_BINARY_DIR}/failpoints")
target_compile_options(torture-tests PRIVATE ${TEST_OPTIONS})
add_dependencies(torture-tests stage-agent stage-shim failpoint-agent failpoint-shim failpoint-cache
    failpoint-collector stage-cache stage-collector stagectl
    stage-plugin-host plugin-git plugin-git-files plugin-shell-files plugin-external-files)

# The daemon and the shim once more, with failpoints. Only the files that have some are compiled again: as
# objects they come before the libraries, whose own versions of them the linker then never takes.
add_library(failpoint_agent_parts OBJECT
    agent/process/AttemptFolder.cpp
    agent/process/ProcessTree.cpp
    agent/process/Spawn.cpp
    agent/process/SpareShim.cpp
    agent/process/Launcher.cpp
    agent/process/ShimWatch.cpp
    agent/store/Database.cpp
    agent/store/CompressedLog.cpp
    agent/run/StateFolder.cpp
    agent/run/ArtifactTrash.cpp
    agent/run/CacheStore.cpp
    agent/run/CacheWorker.cpp
    agent/run/CleanupWorker.cpp
    agent/run/Engine.cpp
    agent/run/SyncWorker.cpp
    agent/run/AdminToken.cpp
    agent/run/RepositoryStages.cpp
    tests/torture/failpoints/MovedClock.cpp
    tests/torture/failpoints/CallLog.cpp)
target_link_libraries(failpoint_agent_parts PRIVATE agent_run PkgConfig::ZSTD)
target_precompile_headers(failpoint_agent_parts REUSE_FROM agent_store)
add_executable(failpoint-agent agent/main.cpp $<TARGET_OBJECTS:failpoint_agent_parts>)
target_link_libraries(failpoint-agent PRIVATE agent_application)

add_library(failpoint_shim_parts OBJECT
    agent/shim/main.cpp
    agent/shim/Supervisor.cpp
    agent/shim/ChildProcess.cpp
    agent/shim/StageProcesses.cpp
    agent/shim/StageCgroup.cpp
    agent/shim/LogFile.cpp
    agent/shim/OutcomeFile.cpp
    tests/torture/failpoints/MovedClock.cpp
    tests/torture/failpoints/CallLog.cpp)
target_link_libraries(failpoint_shim_parts PRIVATE agent_wire)
add_executable(failpoint-shim $<TARGET_OBJECTS:failpoint_shim_parts>)
target_link_libraries(failpoint-shim PRIVATE agent_shim)

add_library(failpoint_cache_parts OBJECT
    agent/cache/Needed.cpp
    agent/cache/Restorer.cpp
    agent/cache/Saver.cpp
    tests/torture/failpoints/MovedClock.cpp
    tests/torture/failpoints/CallLog.cpp)
target_link_libraries(failpoint_cache_parts PRIVATE agent_cache PkgConfig::ARCHIVE)
add_executable(failpoint-cache agent/cache/main.cpp $<TARGET_OBJECTS:failpoint_cache_parts>)
target_link_libraries(failpoint-cache PRIVATE agent_cache agent_program)

# In a build folder of before this was a link to the real one, and linkers write through links.
if(IS_SYMLINK ${CMAKE_BINARY_DIR}/failpoints/stage-collector)
    file(REMOVE ${CMAKE_BINARY_DIR}/failpoints/stage-collector)
endif()
add_library(failpoint_collector_parts OBJECT
    agent/collect/Collector.cpp
    agent/collect/ContentStore.cpp
    agent/collect/main.cpp
    tests/torture/failpoints/MovedClock.cpp
    tests/torture/failpoints/CallLog.cpp)
target_link_libraries(failpoint_collector_parts PRIVATE agent_collect agent_reports OpenSSL::Crypto)
add_executable(failpoint-collector $<TARGET_OBJECTS:failpoint_collector_parts>)
target_link_libraries(failpoint-collector PRIVATE agent_collect)

foreach(program agent shim cache collector)
    target_compile_definitions(failpoint_${program}_parts PRIVATE STAGE_AGENT_FAILPOINTS)
    set_target_properties(failpoint-${program} PROPERTIES OUTPUT_NAME stage-${program}
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/failpoints)
    foreach(call fsync fdatasync syncfs rename renameat pwrite)
        target_link_options(failpoint-${program} PRIVATE -Wl,--wrap=${call})
    endforeach()
endforeach()
if(NOT STAGE_AGENT_SANITIZE)
    target_link_options(failpoint-shim PRIVATE -static)
endif()
# The daemon finds what else it needs beside itself.
foreach(other plugins stage-plugin-host)
    add_custom_command(TARGET failpoint-agent POST_BUILD COMMAND ${CMAKE_COMMAND} -E create_symlink
        ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${other} ${CMAKE_BINARY_DIR}/failpoints/${other} VERBATIM)
endforeach()
