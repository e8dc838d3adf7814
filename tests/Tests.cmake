# Three programs of CppUnit suites, one ctest entry a suite: unit-tests look at a class, daemon-tests
# talk to the real daemon over HTTP, torture-tests harm it.
# g++ 12 sees overruns in inlined std::string concatenation that are none (GCC bug 105329, 105651).
set(TEST_OPTIONS -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
add_executable(unit-tests
    tests/support/main.cpp
    tests/support/PluginProcess.cpp
    tests/support/GitFixture.cpp
    tests/support/SourceRules.cpp
    tests/support/ClassSizes.cpp
    tests/support/Namespace.cpp
    tests/support/Certificates.cpp
    tests/unit/IdTest.cpp
    tests/unit/FilesTest.cpp
    tests/unit/RegularFileTest.cpp
    tests/unit/TimestampTest.cpp
    tests/unit/LifecycleTest.cpp
    tests/unit/IncludeRulesTest.cpp
    tests/unit/QueueTest.cpp
    tests/unit/CacheArchiveTest.cpp
    tests/unit/CacheScopesTest.cpp
    tests/unit/EndedRunsTest.cpp
    tests/unit/EngineTest.cpp
    tests/unit/RunFlowTest.cpp
    tests/unit/LastStagesTest.cpp
    tests/unit/ApprovalsTest.cpp
    tests/unit/SupersedeTest.cpp
    tests/unit/OrderBuilderTest.cpp
    tests/unit/StageCountsTest.cpp
    tests/unit/StageFilesTest.cpp
    tests/unit/DatabaseTest.cpp
    tests/unit/QueryPlanTest.cpp
    tests/unit/RecordCheckTest.cpp
    tests/unit/RecordReserveTest.cpp
    tests/unit/RunStoreTest.cpp
    tests/unit/RunTest.cpp
    tests/unit/AttemptEndsTest.cpp
    tests/unit/HistoryTest.cpp
    tests/unit/TokenStoreTest.cpp
    tests/unit/OutboxStoreTest.cpp
    tests/unit/TargetQueueTest.cpp
    tests/unit/TargetWorkerTest.cpp
    tests/unit/TargetConnectionTest.cpp
    tests/unit/ForgeTest.cpp
    tests/unit/Sha256Test.cpp
    tests/unit/FolderIdentityTest.cpp
    tests/unit/SealTest.cpp
    tests/unit/WireTest.cpp
    tests/unit/ShimTest.cpp
    tests/unit/ShimLogTest.cpp
    tests/unit/LeftBehindTest.cpp
    tests/unit/FilePatternsTest.cpp
    tests/unit/CollectTest.cpp
    tests/unit/CollectorProcessTest.cpp
    tests/unit/ArtifactTrashTest.cpp
    tests/unit/ShimRecordTest.cpp
    tests/unit/MaskerTest.cpp
    tests/unit/MaskerCostTest.cpp
    tests/unit/GramFilterTest.cpp
    tests/unit/GramTableTest.cpp
    tests/unit/BreakFilterTest.cpp
    tests/unit/LineEndsTest.cpp
    tests/unit/TextPiecesTest.cpp
    tests/unit/LogWriterTest.cpp
    tests/unit/LogThreadTest.cpp
    tests/unit/StageCgroupTest.cpp
    tests/unit/CloneTest.cpp
    tests/unit/SpawnTest.cpp
    tests/unit/ProgramTest.cpp
    tests/unit/LauncherTest.cpp
    tests/unit/SpareShimTest.cpp
    tests/unit/CgroupTest.cpp
    tests/unit/ProcessTreeTest.cpp
    tests/unit/ShimWatchTest.cpp
    tests/unit/ShimSandboxTest.cpp
    tests/unit/IsolationPolicyTest.cpp
    tests/unit/LogReaderTest.cpp
    tests/unit/LogFormatTest.cpp
    tests/unit/CompressedLogTest.cpp
    tests/unit/TestReportsTest.cpp
    tests/unit/ArtifactsTest.cpp
    tests/unit/SafeRemoveTest.cpp
    tests/unit/CleanupWorkerTest.cpp
    tests/unit/UnusedMirrorsTest.cpp
    tests/unit/LogSearchTest.cpp
    tests/unit/DocumentTest.cpp
    tests/unit/EncodersTest.cpp
    tests/unit/ManifestTest.cpp
    tests/unit/PluginRegistryTest.cpp
    tests/unit/InputRulesTest.cpp
    tests/unit/RequestBodyTest.cpp
    tests/unit/PipelineParserTest.cpp
    tests/unit/ServiceLinksTest.cpp
    tests/unit/ServiceKeysTest.cpp
    tests/unit/FilePipelineTest.cpp
    tests/unit/SecretKeysTest.cpp
    tests/unit/PipelineJsonTest.cpp
    tests/unit/ServiceCatalogTest.cpp
    tests/unit/PluginHostTest.cpp
    tests/unit/GitNamesTest.cpp
    tests/unit/GitPluginTest.cpp
    tests/unit/GitFilterTest.cpp
    tests/unit/GitMirrorTest.cpp
    tests/unit/GitUrlTest.cpp
    tests/unit/GitInPracticeTest.cpp
    tests/unit/GitCredentialTest.cpp
    tests/unit/GitForkTest.cpp
    tests/unit/GitKeptTreeTest.cpp
    tests/unit/SecretFolderTest.cpp
    tests/unit/SecretGrantsTest.cpp
    tests/unit/FramingTest.cpp
    tests/unit/JsonArrayTest.cpp
    tests/unit/GuardTest.cpp
    tests/unit/BasePathTest.cpp
    tests/unit/ListeningSocketsTest.cpp
    tests/unit/EvictionTest.cpp
    tests/unit/TlsTest.cpp
    tests/unit/SmugglingTest.cpp
    tests/unit/AccessTest.cpp
    tests/unit/TokenFailuresTest.cpp
    tests/unit/SessionsTest.cpp
    tests/unit/HttpServerTest.cpp
    tests/unit/HttpServerLoadTest.cpp
    tests/unit/FollowersTest.cpp
    tests/unit/StateFolderTest.cpp
    tests/unit/TableTest.cpp
    tests/unit/SettingsTest.cpp
    tests/unit/AgentsTest.cpp
    tests/unit/LogFilterTest.cpp
    # What the shim and the git plugin are made of, for the tests that look inside.
    agent/shim/LogFile.cpp
    agent/shim/LogWriter.cpp
    agent/shim/LogThread.cpp
    agent/shim/MaskFile.cpp
    agent/shim/StageCgroup.cpp
    agent/shim/Verdict.cpp
    plugins/git/Workspace.cpp
    plugins/git/Checkout.cpp
    plugins/git/KeptTree.cpp
    plugins/git/LeftFiles.cpp
    plugins/git/Mirror.cpp
    plugins/git/MirrorFolder.cpp
    plugins/git/Repository.cpp
    plugins/git/Credential.cpp
    plugins/git/Submodules.cpp
    plugins/git/Surroundings.cpp
    plugins/git/Url.cpp
    plugins/git/Git.cpp
    plugins/git/Fetch.cpp
    plugins/git/Filter.cpp
    plugins/git/Program.cpp)
target_link_libraries(unit-tests PRIVATE agent_api agent_run agent_reports agent_ctl agent_collect agent_cache PkgConfig::ARCHIVE Poco::NetSSL
                                  OpenSSL::SSL PkgConfig::ZSTD cppunit)
target_compile_definitions(unit-tests PRIVATE
    STAGE_AGENT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    STAGE_AGENT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
target_compile_options(unit-tests PRIVATE ${TEST_OPTIONS})
target_precompile_headers(unit-tests PRIVATE tests/support/tests.pch.h)
add_dependencies(unit-tests stage-shim stage-collector stage-plugin-host plugin-git)

# A process as few are.
add_executable(leaderless tests/support/programs/Leaderless.cpp)
target_link_libraries(leaderless PRIVATE Threads::Threads)
set_target_properties(leaderless PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test-programs)
add_dependencies(unit-tests leaderless)
add_library(unsynchronised MODULE tests/support/programs/Unsynchronised.cpp)
set_target_properties(unsynchronised PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test-programs)

# Plugins that misbehave, and the README's example as a project of its own would build it.
foreach(plugin Odd WrongAbi NotAPlugin TwoClasses)
    add_library(test-plugin-${plugin} MODULE tests/support/plugins/${plugin}.cpp)
    set_target_properties(test-plugin-${plugin} PROPERTIES PREFIX "" OUTPUT_NAME ${plugin}
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test-plugins)
    target_link_libraries(test-plugin-${plugin} PRIVATE Poco::Foundation)
    add_dependencies(unit-tests test-plugin-${plugin})
endforeach()
stage_agent_add_plugin(greet FOLDER tests/support/plugins/greet
    SOURCES tests/support/plugins/greet/Greet.cpp
    DESTINATION ${CMAKE_BINARY_DIR}/test-plugins)
add_dependencies(unit-tests plugin-greet)

# What the two programs share that start a daemon.
add_library(daemon_support OBJECT
    tests/support/main.cpp
    tests/support/Daemon.cpp
    tests/support/DeafFiles.cpp
    tests/support/Namespace.cpp
    tests/support/Certificates.cpp
    tests/support/Program.cpp)
target_link_libraries(daemon_support PRIVATE agent_model Poco::Net OpenSSL::SSL cppunit)
target_compile_definitions(daemon_support PRIVATE
    STAGE_AGENT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
target_compile_options(daemon_support PRIVATE ${TEST_OPTIONS})

add_executable(daemon-tests
    $<TARGET_OBJECTS:daemon_support>
    tests/daemon/SocketTest.cpp
    tests/daemon/PortKeeperTest.cpp
    tests/daemon/CertificatesTest.cpp
    tests/daemon/StagesApiTest.cpp
    tests/daemon/RunsApiTest.cpp
    tests/daemon/RunListTest.cpp
    tests/daemon/AccessApiTest.cpp
    tests/daemon/TokensApiTest.cpp
    tests/daemon/OutboxTest.cpp
    tests/daemon/OutboxApiTest.cpp
    tests/daemon/OutgoingCommitsTest.cpp
    tests/daemon/OutboxKillTest.cpp
    tests/daemon/CommitStatusTest.cpp
    tests/daemon/SeamlessTest.cpp
    tests/daemon/PollTest.cpp
    tests/daemon/HooksTest.cpp
    tests/daemon/NarrowedTokenTest.cpp
    tests/daemon/InheritedTest.cpp
    tests/daemon/RouteWalkTest.cpp
    tests/daemon/OverridesTest.cpp
    tests/daemon/EarlierVersionTest.cpp
    tests/daemon/PowerCutTest.cpp
    tests/daemon/RecoveryTest.cpp
    tests/daemon/StuckTest.cpp
    tests/daemon/UndyingTest.cpp
    tests/daemon/HeldTest.cpp
    tests/daemon/PatchTableTest.cpp
    tests/daemon/AdoptionTest.cpp
    tests/daemon/CausesTest.cpp
    tests/daemon/RetriesTest.cpp
    tests/daemon/ContainmentTest.cpp
    tests/daemon/SandboxTest.cpp
    tests/daemon/GitStageTest.cpp
    tests/daemon/PipelineInRepositoryTest.cpp
    tests/daemon/StrangersPipelineTest.cpp
    tests/daemon/LimitsTest.cpp
    tests/daemon/LogsApiTest.cpp
    tests/daemon/EventsTest.cpp
    tests/daemon/DashboardTest.cpp
    tests/daemon/SecretsTest.cpp
    tests/daemon/RotationTest.cpp
    tests/daemon/StrangersTest.cpp
    tests/daemon/StagectlTest.cpp
    tests/daemon/StagectlWordsTest.cpp
    tests/daemon/StagectlLogsTest.cpp
    tests/daemon/StagectlInitTest.cpp
    tests/daemon/StagectlLintTest.cpp
    tests/daemon/StagectlScreensTest.cpp
    tests/daemon/StagectlAgentsTest.cpp
    tests/daemon/StagectlHelpTest.cpp
    tests/daemon/CompletionTest.cpp
    tests/daemon/StagectlTokenTest.cpp
    tests/daemon/StagectlDoctorTest.cpp
    tests/daemon/DoctorFaultsTest.cpp
    tests/daemon/StagectlExecTest.cpp
    tests/daemon/StagectlExecStopTest.cpp
    tests/daemon/LiveViewTest.cpp
    tests/daemon/ScarceDescriptorsTest.cpp
    tests/daemon/SearchesTest.cpp
    tests/daemon/ReadmeTest.cpp
    tests/daemon/WatchdogTest.cpp
    tests/daemon/WatchedPartsTest.cpp
    agent/Watchdog.cpp # for the test that looks inside
    tests/daemon/ConditionsTest.cpp
    tests/daemon/ConfigurationTest.cpp
    tests/daemon/FaultsTest.cpp
    tests/daemon/BoundsTest.cpp
    tests/daemon/DiskTest.cpp
    tests/daemon/DiskOrderTest.cpp
    tests/daemon/DamagedFilesTest.cpp
    tests/daemon/HostileStageTest.cpp
    tests/daemon/HostileShimTest.cpp
    tests/daemon/ReachTest.cpp
    tests/daemon/PluginDigestTest.cpp
    tests/daemon/ArtifactsApiTest.cpp
    tests/daemon/StagectlArtifactsTest.cpp
    tests/daemon/RetentionTest.cpp
    tests/daemon/ArtifactKeepingTest.cpp
    tests/daemon/CachesTest.cpp
    tests/daemon/WorkspacesTest.cpp
    tests/daemon/NeedsTest.cpp
    tests/daemon/NeedsRightsTest.cpp
    tests/daemon/HostileCachesTest.cpp
    tests/daemon/HostileTreesTest.cpp
    tests/daemon/RegressionTest.cpp)
target_link_libraries(daemon-tests PRIVATE agent_api agent_model agent_store agent_cache PkgConfig::ARCHIVE SQLite::SQLite3 Poco::Net Poco::NetSSL OpenSSL::SSL
                                      PkgConfig::SYSTEMD PkgConfig::ZSTD cppunit)
target_compile_definitions(daemon-tests PRIVATE
    STAGE_AGENT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    STAGE_AGENT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
target_compile_options(daemon-tests PRIVATE ${TEST_OPTIONS})
target_precompile_headers(daemon-tests PRIVATE tests/support/tests.pch.h)
add_dependencies(daemon-tests stage-agent stage-shim stage-collector stage-cache stage-plugin-host stagectl plugin-git
    plugin-git-files plugin-shell-files plugin-external-files leaderless unsynchronised)

if(STAGE_AGENT_SANITIZE STREQUAL "thread")
    target_sources(unit-tests PRIVATE tests/support/TsanSuppressions.cpp)
endif()
include(tests/torture/Torture.cmake)

# A slice of what can be run with sandboxed stages too (CONTRIBUTING.md).
set(sandboxed_daemon-tests AdoptionTest,RecoveryTest,ContainmentTest,HeldTest::testATimeoutThatCantBeIsReported,HeldTest::testSoIsWhatACommandLeftBehind)
set(sandboxed_torture-tests RestartTest,ShimKillTest,EscapeTest,ForgeryTest,KeepKillTest,KeepPlacesTest,WorkspaceKillTest)

# Each program lists its suites once it is linked; ctest reads the list.
foreach(program unit-tests daemon-tests torture-tests)
    set(list ${CMAKE_BINARY_DIR}/${program}.ctest.cmake)
    add_custom_command(TARGET ${program} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DLIST=${list}
                "-DSANDBOXED=${sandboxed_${program}}"
                -P ${CMAKE_SOURCE_DIR}/tests/ListSuites.cmake
        VERBATIM)
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${list})
endforeach()

add_executable(browser-record tests/browser/record.cpp)
target_link_libraries(browser-record PRIVATE agent_store Poco::Net)

# The dashboard in Chromium. Pictures of each page, in both themes and on a phone, are
# in build/browser-out/screenshots: CI keeps them.
add_test(NAME BrowserTest COMMAND ${CMAKE_SOURCE_DIR}/tests/browser/run
    ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${CMAKE_SOURCE_DIR}/build/browser-out ${CMAKE_SOURCE_DIR}/build/browser-modules)
set_tests_properties(BrowserTest PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)

# A slice of scripts/fuzz-api, with another seed each time, which it prints.
add_test(NAME ApiFuzzTest COMMAND ${CMAKE_SOURCE_DIR}/tests/api-fuzz/run
    ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${CMAKE_SOURCE_DIR}/build/api-fuzz-modules --requests 4000)
set_tests_properties(ApiFuzzTest PROPERTIES TIMEOUT 180 SKIP_RETURN_CODE 77)
