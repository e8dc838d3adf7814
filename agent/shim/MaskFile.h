#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// Where a stage writes further secrets, one per line ($STAGE_MASK). It may be written at any time, so it has to
/// be there before the stage is.
class MaskFile
{
public:
    /// What was found of it since the last look.
    struct Added
    {
        std::vector<std::string> lines;
        bool full = false; ///< there is more than is looked at; told once
    };

    MaskFile() = default;

    /// Creates `path`, empty, mode 0600. An empty path: there is none, as where it can't be created.
    explicit MaskFile(std::string path);

    /// Returns what the stage has added. A line whose end is not there yet is returned too, and again when it has
    /// grown: better a word too much is masked than a secret shown.
    Added takeAdded();

    void remove();

private:
    std::string _path;
    FileDescriptor _file;
    std::uint64_t _read = 0;
    bool _full = false;
    std::string _line; ///< its end not yet there
};

} // namespace agent
