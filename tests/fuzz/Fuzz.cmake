# The sources themselves, not the libraries: all of what is looked at has to be instrumented, and assertions
# are on.
set(instrument -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
               -fno-omit-frame-pointer -UNDEBUG
               -fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/ignored.txt
               -Wno-ambiguous-reversed-operator) # iterators of RapidJSON 1.1

# What reads what comes from outside: requests, files of operators, files of stages.
add_library(fuzzed STATIC EXCLUDE_FROM_ALL
    agent/os/FileDescriptor.cpp
    agent/os/Files.cpp
    agent/os/RegularFile.cpp
    agent/os/FolderDigest.cpp
    agent/os/FolderIdentity.cpp
    agent/os/Sha256.cpp
    agent/model/Characters.cpp
    agent/model/Id.cpp
    agent/model/Isolation.cpp
    agent/model/Masker.cpp
    agent/model/TextPieces.cpp
    agent/model/BreakFilter.cpp
    agent/model/GramFilter.cpp
    agent/model/GramTable.cpp
    agent/model/LineEnds.cpp
    agent/model/PatternAutomaton.cpp
    agent/model/PipelineSpec.cpp
    agent/model/Run.cpp
    agent/model/SecretEncodings.cpp
    agent/model/SecretSet.cpp
    agent/model/Stage.cpp
    agent/model/Suggestion.cpp
    agent/model/Timestamp.cpp
    agent/model/Token.cpp
    agent/model/WrappedText.cpp
    agent/model/Utf8.cpp
    agent/model/WallClock.cpp
    agent/wire/Order.cpp
    agent/wire/Seal.cpp
    agent/document/DocumentText.cpp
    agent/document/DocumentBuilder.cpp
    agent/document/YamlDocument.cpp
    agent/document/JsonDocument.cpp
    agent/document/DocumentValue.cpp
    agent/plugin/Manifest.cpp
    agent/plugin/PluginRegistry.cpp
    agent/run/InputRules.cpp
    agent/run/Pipeline.cpp
    agent/run/PipelineParser.cpp
    agent/run/PipelineReader.cpp
    agent/run/PipelineFileReader.cpp
    agent/run/PipelineKeys.cpp
    agent/run/PipelineValues.cpp
    agent/store/CompressedLog.cpp
    agent/store/LineCursor.cpp
    agent/store/LogIndex.cpp
    agent/store/LogReader.cpp
    agent/api/Framing.cpp
    agent/api/Guard.cpp
    agent/api/Http.cpp
    agent/api/Input.cpp
    agent/api/RequestReader.cpp)
target_compile_options(fuzzed PRIVATE ${instrument})
target_link_libraries(fuzzed PUBLIC Poco::Foundation yaml-cpp PkgConfig::ZSTD)

foreach(name Masker LogIndex Request Chunk Target Body Service Manifest Wire)
    string(REGEX REPLACE "([a-z])([A-Z])" "\\1-\\2" target ${name})
    string(TOLOWER ${target}-fuzz target)
    add_executable(${target} EXCLUDE_FROM_ALL tests/fuzz/${name}Fuzz.cpp)
    target_compile_options(${target} PRIVATE ${instrument})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_libraries(${target} PRIVATE fuzzed)
endforeach()
