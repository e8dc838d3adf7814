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

/// Writes the claim's text through `lock`, the inherited descriptor of shim.lock.
/// Returns 0 or the error number.
int writeClaim(int lock, const std::string& folder, const std::string& claim, Durable durable);

/// Puts `held.json` there at once. Not brought to disk: that may be what the stage waits for, and after a
/// power cut nothing is held. Returns 0 or the error number; it may be tried again.
int writeHeld(const std::string& folder, const Held& held);

/// `outcome.json`: appears whole, once. The folder is held from the beginning: a stage that moves it away, or puts
/// another one in its place, changes nothing of where the outcome goes.
class OutcomeFile
{
public:
    explicit OutcomeFile(const std::string& folder);

    /// Whether the attempt already has its outcome.
    [[nodiscard]] bool exists() const;

    /// Takes the room that the outcome will need, so that a stage that fills the disk can still be
    /// told of. Returns 0 or the error number.
    int reserve();

    /// Puts it in place, from a file of the shim's own: one that the stage put under the temporary name is not
    /// taken for it. A folder that the stage made read-only is made writable again.
    /// Returns 0 once it is there, else the error number; it may be tried again.
    int write(const std::string& text, Durable durable);

private:
    [[nodiscard]] bool standsAt(const char* name) const;
    [[nodiscard]] int syncFolder() const;
    void setAside(const char* name) const;

    FileDescriptor _folder;
    FileDescriptor _file; ///< under its temporary name
};

} // namespace agent
