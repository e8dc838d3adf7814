#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// Whether what the shim writes must be on disk before it counts. Not where the attempt's row in the record
/// names the boot: after a power cut that decides, and after any other end the kernel has all that was
/// written. See docs/durability.md.
enum class Durable
{
    No,
    Yes
};

/// Writes the claim through `lock`, the inherited descriptor of shim.lock.
/// Returns 0 or the error number.
int writeClaim(int lock, const std::string& folder, const Claim& claim, Durable durable);

/// Puts `held.json` there at once. Not brought to disk: that may be what the stage waits for, and after a
/// power cut nothing is held. Returns 0 or the error number; it may be tried again.
int writeHeld(const std::string& folder, const Held& held);

/// `outcome.json`: appears whole, once.
class OutcomeFile
{
public:
    explicit OutcomeFile(std::string folder) : _folder(std::move(folder)) {}

    /// Whether the attempt already has its outcome.
    [[nodiscard]] bool exists() const;

    /// Takes the room that the outcome will need, so that a stage that fills the disk can still be
    /// told of. Returns 0 or the error number.
    int reserve();

    /// Puts it in place, from a file of the shim's own: one that the stage put under the temporary name is not
    /// taken for it. Returns 0 once it is there, else the error number; it may be tried again.
    int write(const Outcome& outcome, Durable durable);

private:
    [[nodiscard]] bool standsAt(const std::string& name) const;

    std::string _folder;
    FileDescriptor _file; ///< under its temporary name
};

} // namespace agent
