# The sources themselves, not the libraries: all of what is looked at has to be instrumented.
add_executable(masker-fuzz EXCLUDE_FROM_ALL
    tests/fuzz/MaskerFuzz.cpp
    agent/model/Masker.cpp
    agent/model/SecretSet.cpp
    agent/model/PatternAutomaton.cpp
    agent/model/SecretEncodings.cpp)
add_executable(log-index-fuzz EXCLUDE_FROM_ALL
    tests/fuzz/LogIndexFuzz.cpp
    agent/store/LogReader.cpp
    agent/store/LogIndex.cpp
    agent/os/FileDescriptor.cpp
    agent/os/RegularFile.cpp
    agent/store/CompressedLog.cpp
    agent/model/Timestamp.cpp)
target_link_libraries(log-index-fuzz PRIVATE PkgConfig::ZSTD)
foreach(target masker-fuzz log-index-fuzz)
    set(sanitize -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
    target_compile_options(${target} PRIVATE ${sanitize} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE ${sanitize})
endforeach()
