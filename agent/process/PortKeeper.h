#pragma once

#include "agent/process/Spawn.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace agent
{

/// The daemon's side of the keeper, the process that holds its TCP sockets after its death, as long as a stage runs:
/// shim/Keeper.h, docs/access.md. Where none can be started or the one there is gone, `warn` gets a line; the daemon does
/// not need one for anything else.
/// Threads: one at a time.
class PortKeeper
{
public:
    /// `shim`: the stage-shim program; `folder`: the state folder, which no other daemon has now.
    PortKeeper(std::filesystem::path shim, std::filesystem::path folder,
               std::function<void(const std::string&)> warn);

    /// Tells the keeper that we go, and waits until it has decided what it does (5 s at most): without a shim the sockets
    /// are closed then.
    ~PortKeeper();
    PortKeeper(const PortKeeper&) = delete;
    PortKeeper& operator=(const PortKeeper&) = delete;

    /// Returns the listening sockets that the daemon before us has left to its keeper, which is ours then; none where there is
    /// no keeper. Blocks: 5 s at most.
    std::vector<FileDescriptor> takeOver();

    /// From now on these are held, and nothing else; the descriptors stay the caller's. Starts a keeper where there
    /// is none; with no sockets it is ended. Blocks: for the exec; 5 s at most.
    void hold(const std::vector<int>& sockets);

    /// The keeper stays while this shim lives. Starts another one where ours has been killed, which knows of no shim before this
    /// one. Blocks: not but for that.
    void watch(const FileDescriptor& shim) noexcept;

    /// The pid of one that is our child; 0: none.
    [[nodiscard]] int pid() const { return _child.pid; }

private:
    void start();
    [[nodiscard]] bool give() const;
    void drop() noexcept;

    std::filesystem::path _shim;
    std::filesystem::path _folder;
    std::function<void(const std::string&)> _warn;
    FileDescriptor _keeper; ///< the socket to it; not valid: there is none
    Child _child;
    std::vector<FileDescriptor> _sockets; ///< for another keeper
};

} // namespace agent
