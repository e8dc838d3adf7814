# The sources themselves, not the libraries: all of what is looked at has to be instrumented, and assertions
# are on.
set(instrument -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
               -fno-omit-frame-pointer -UNDEBUG
               -fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/ignored.txt
               -Wno-ambiguous-reversed-operator) # iterators of RapidJSON 1.1

# What reads what comes from outside: requests, files of operators, files of stages; and whole what that stands on.
set(fuzzed_sources
    agent/plugin/Manifest.cpp
    agent/plugin/PluginRegistry.cpp
    agent/run/InputRules.cpp
    agent/run/IsolationPolicy.cpp
    agent/run/Pipeline.cpp
    agent/run/PipelineParser.cpp
    agent/run/PipelineFileReader.cpp
    agent/run/PipelineKeys.cpp
    agent/run/PipelineReader.cpp
    agent/run/PipelineReaderService.cpp
    agent/run/PipelineValues.cpp
    agent/run/ArtifactKeys.cpp
    agent/run/CacheKeys.cpp
    agent/run/ConditionKeys.cpp
    agent/run/FilePipeline.cpp
    agent/run/RunPipeline.cpp
    agent/run/SecretGrants.cpp
    agent/run/SecretKeys.cpp
    agent/run/RefusedVariables.cpp
    agent/store/CompressedLog.cpp
    agent/store/LineCursor.cpp
    agent/store/LogIndex.cpp
    agent/store/LogReader.cpp
    agent/api/Framing.cpp
    agent/api/Guard.cpp
    agent/api/Http.cpp
    agent/api/Input.cpp
    agent/api/RequestReader.cpp)
foreach(library agent_os agent_model agent_wire agent_reports agent_document)
    get_target_property(sources ${library} SOURCES)
    list(APPEND fuzzed_sources ${sources})
endforeach()
add_library(fuzzed STATIC EXCLUDE_FROM_ALL ${fuzzed_sources})
target_compile_options(fuzzed PRIVATE ${instrument})
target_link_libraries(fuzzed PUBLIC Poco::Foundation yaml-cpp pugixml::pugixml PkgConfig::ZSTD)

foreach(name Masker LogIndex Request Chunk Target Body Service File Manifest JUnit Wire)
    string(REGEX REPLACE "([a-z])([A-Z])" "\\1-\\2" target ${name})
    string(TOLOWER ${target}-fuzz target)
    add_executable(${target} EXCLUDE_FROM_ALL tests/fuzz/${name}Fuzz.cpp)
    target_compile_options(${target} PRIVATE ${instrument})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_libraries(${target} PRIVATE fuzzed)
endforeach()
