#pragma once

#include "agent/process/Spawn.h"
#include "agent/wire/Handover.h"

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

namespace agent
{

/// A shim that was started before there is an attempt for it, so that a launch need not wait for its start: it
/// waits for one message (wire/Handover.h) and is then a shim as any other. It has no file, no lock and no
/// stage until then, and exits when its daemon does, however that ends.
/// It can be armed: given an attempt whose start is not on record yet. Then it makes ready and waits for one word more, without
/// which it executes nothing. One that is armed counts as the spare shim until go().
/// Threads: any; calls take turns.
class SpareShim
{
public:
    /// `program`: stage-shim.
    explicit SpareShim(std::filesystem::path program) : _program(std::move(program)) {}
    SpareShim(const SpareShim&) = delete;
    SpareShim& operator=(const SpareShim&) = delete;
    ~SpareShim() { end(); }

    /// Starts one where there is none, armed or not. Without one, as when it can't be started, launches start their own.
    /// Blocks: for the exec, less than a millisecond.
    void refill() noexcept;

    /// Hands the attempt in `folder` to it. The socket stays open: the shim tells its outcome there. `secrets` may be invalid: none.
    /// Returns nothing when there is no spare, it is armed, or it is gone.
    std::optional<Child> take(const std::filesystem::path& folder, const FileDescriptor& lock,
                              const FileDescriptor& secrets);

    /// Arms it with the attempt in `folder`. Returns false when there is no spare, it is armed already, or it is gone.
    bool arm(const std::filesystem::path& folder, const FileDescriptor& lock,
             const FileDescriptor& secrets);

    /// Lets the armed one execute its attempt. Returns nothing when it is gone: nothing of the attempt was executed.
    std::optional<Child> go();

    /// Ends the armed one, which has executed nothing, and waits for that: its copy of the lock is gone then. Blocks: 2 s at
    /// most; one that the kernel does not let go of by then keeps its copy, and is nothing of ours any more.
    void disarm() noexcept;

    /// Its pid; 0: there is none.
    [[nodiscard]] int pid() const;

    [[nodiscard]] FileDescriptor pidfd() const;

    /// Ends it and waits for that, so that no process of ours is left. Blocks: 2 s at most, as disarm().
    void end() noexcept;

private:
    [[nodiscard]] bool hand(const std::filesystem::path& folder, const FileDescriptor& lock,
                            const FileDescriptor& secrets, Start start);
    Child giveAway();
    void endIt() noexcept;

    std::filesystem::path _program;
    mutable std::mutex _mutex;
    FileDescriptor _socket; ///< not valid: there is no spare
    Child _child;
    bool _armed = false;
};

} // namespace agent
