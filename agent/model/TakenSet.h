#pragma once

#include <cstdint>
#include <string>

namespace agent
{

/// What an attempt was given of another service: docs/artifacts.md, "What another service made".
struct TakenSet
{
    std::string stageId; ///< that needed it
    int attempt = 0;
    int number = 0; ///< of the need in its stage, from 0
    std::string service;
    std::string branch;
    std::string name; ///< of the artifacts
    std::string to;
    std::string fromRun;
    std::string fromStage;
    int fromAttempt = 0;
    std::string fromFolder; ///< of that attempt, relative to the state folder
    std::string commitHash;
    std::string manifest; ///< SHA-256 of the list of its files
    std::int64_t files = 0;
    std::int64_t bytes = 0;
    bool held = true; ///< the attempt is at work: nothing of the set is removed from the disk
};

} // namespace agent
