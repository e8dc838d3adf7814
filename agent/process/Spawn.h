#pragma once

#include "agent/os/FileDescriptor.h"

#include <filesystem>
#include <string>

namespace agent
{

/// A child of ours: its pid, and the descriptor that stays with it when the pid is used again.
struct Child
{
    int pid = 0;
    FileDescriptor pidfd{};
    FileDescriptor
        socket{}; ///< our end of the one that it waited at (wire/Handover.h); not valid: none
};

/// Whether a shim lives on when the thread that started it is gone.
enum class Bond
{
    Outlives,  ///< a daemon's: the next one finds it
    EndsWithUs ///< it ends its stage with us, even after kill -9. Source: PR_SET_PDEATHSIG(2const)
};

/// Starts `stage-shim ARGUMENT` in a session of its own: 0-2 are /dev/null, `third` is its fd 3, `secrets`
/// its fd 4 (/dev/null where that is not valid), nothing else is inherited. `argument` is the attempt's folder and
/// `third` its lock, or what a waiting shim gets (wire/Handover.h). All signals are blocked and none is
/// pending or ignored; its environment is PATH and, in a build with failpoints, what they need.
/// Errors: std::system_error, also when the program can't be executed; then no child is left.
/// Threads: safe in a program of many threads: between the clone and the exec there are system calls only.
/// Blocks: until the exec.
Child spawnShim(const std::filesystem::path& program, const std::string& argument,
                const FileDescriptor& third, const FileDescriptor& secrets,
                Bond bond = Bond::Outlives);

} // namespace agent
