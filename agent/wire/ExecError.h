#pragma once

namespace agent
{

/// What the process that is to become a command sends through a pipe that its exec closes: only so can a command that is
/// not there be told from one that exits with 127. `stage-cache restore` gets that pipe as a descriptor.
struct ExecError
{
    enum Step : int
    {
        Setup,
        Folder,
        Exec,
        ExecOfCommand ///< by stage-cache, which was executed itself
    };

    static constexpr int descriptor = 3; ///< of stage-cache

    int step = Setup;
    int error = 0;
};

} // namespace agent
