#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent::ctl
{

/// A stage of a first pipeline: a type, and what the shell plugin executes.
struct FirstStage
{
    std::string type;
    std::vector<std::string> commands; ///< one a line; the first that fails ends the stage
};

/// What a repository is built with, and how.
struct Project
{
    std::string kind;     ///< `Node`, `CMake`, `Cargo`, `Go`, `Python`, `Make`
    std::string seenFrom; ///< the file that tells it
    std::vector<FirstStage> stages;
};

/// Returns what the files in `root` tell; of several kinds the first of Cargo, Go, Node, CMake, Python, Make.
/// Returns nothing where none of them is there.
std::optional<Project> projectIn(const std::filesystem::path& root);

} // namespace agent::ctl
