#pragma once

#include "agent/process/Spawn.h"

#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// A shim that was started before there is an attempt for it, so that a launch need not wait for its start: it
/// waits for one message (wire/Handover.h) and is then a shim as any other. It has no file, no lock and no
/// stage until then, and exits when its daemon does, however that ends.
/// Threads: one at a time.
class SpareShim
{
public:
    /// `program`: stage-shim.
    explicit SpareShim(std::filesystem::path program) : _program(std::move(program)) {}
    SpareShim(const SpareShim&) = delete;
    SpareShim& operator=(const SpareShim&) = delete;
    ~SpareShim() { end(); }

    /// Starts one where there is none. Without one, as when it can't be started, launches start their own.
    /// Blocks: for the exec, less than a millisecond.
    void refill() noexcept;

    /// Hands the attempt in `folder` to it. The socket stays open: the shim tells its outcome there. `secrets` may be invalid: none.
    /// Returns nothing when there is no spare, or it is gone.
    std::optional<Child> take(const std::filesystem::path& folder, const FileDescriptor& lock,
                              const FileDescriptor& secrets);

    /// Its pid; 0: there is none.
    [[nodiscard]] int pid() const { return _child.pid; }

    [[nodiscard]] const FileDescriptor& pidfd() const { return _child.pidfd; }

    /// Ends it and waits for that, so that no process of ours is left.
    void end() noexcept;

private:
    std::filesystem::path _program;
    FileDescriptor _socket; ///< not valid: there is no spare
    Child _child;
};

} // namespace agent
