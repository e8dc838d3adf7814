#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/shim/ChildProcess.h"
#include "agent/shim/Sandbox.h"
#include "agent/wire/Order.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace agent
{

/// The stage's command, with pipes for what it says: the one child that the shim starts. With a sandbox that is
/// bubblewrap, and the command lives in it.
class Command
{
public:
    /// `folder`: the attempt's. `secrets` join the order's environment; where both have a name, the secret is taken.
    Command(const Order& order, const std::string& folder,
            const std::map<std::string, std::string>& secrets);

    /// Starts it: own session, /dev/null on stdin, pipes on stdout and stderr, or one for both as the order
    /// says, nothing else inherited but environment and folder; in `cgroup` (-1: none) from its first instruction on.
    /// Errors: false where there is no process; failure() says why. A failure later than that
    /// shows in failure() once the child is reaped.
    bool start(int cgroup);

    [[nodiscard]] pid_t pid() const { return _child->pid(); }

    /// Whether the kernel took it into the cgroup.
    [[nodiscard]] bool inCgroup() const { return _child->inCgroup(); }

    /// Read ends of its stdout and stderr, non-blocking. Where both are one pipe, errors() is not valid.
    [[nodiscard]] FileDescriptor& output() { return _output; }
    [[nodiscard]] FileDescriptor& errors() { return _errors; }

    /// To be called before TERM is sent to the stage's processes.
    void stopping() const;

    /// Returns the wait status of the command where that has ended in its sandbox, and the child perhaps not yet.
    [[nodiscard]] std::optional<int> ended() { return _sandbox ? _sandbox->told() : std::nullopt; }

    /// Readable when ended() has news; -1: it will have none.
    [[nodiscard]] int endDescriptor() const { return _sandbox ? _sandbox->reportDescriptor() : -1; }

    /// Returns the wait status of the command itself; `ofChild`: that of the child, which was reaped.
    [[nodiscard]] int status(int ofChild);

    /// Returns leftBehindLine() of what outlived the command in its sandbox; nothing where there is none, or none was told.
    [[nodiscard]] std::optional<std::string> leftBehind() const
    {
        return _sandbox ? std::optional(_sandbox->leftBehind()) : std::nullopt;
    }

    /// What kept it from being executed; empty when it was. To be asked when it was reaped.
    [[nodiscard]] std::string failure();

private:
    std::optional<Sandbox> _sandbox;
    std::unique_ptr<ChildProcess> _child;
    StageOutput _kind;
    FileDescriptor _output;
    FileDescriptor _errors;
    std::string _failure;
};

} // namespace agent
