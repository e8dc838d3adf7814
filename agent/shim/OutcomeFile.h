#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// Writes the claim through `lock`, the inherited descriptor of shim.lock, and brings it to disk.
/// Shape: 0 or the error number.
int writeClaim(int lock, const std::string& folder, const Claim& claim);

/// Puts `held.json` there at once. Not brought to disk: that may be what the stage waits for, and after a
/// power cut nothing is held. Shape: 0 or the error number; it may be tried again.
int writeHeld(const std::string& folder, const Held& held);

/// `outcome.json`: appears whole, on disk, once.
class OutcomeFile
{
public:
    explicit OutcomeFile(std::string folder) : _folder(std::move(folder)) {}

    /// Whether the attempt already has its outcome.
    [[nodiscard]] bool exists() const;

    /// Takes the room that the outcome will need, so that a stage that fills the disk can still be
    /// told of. Shape: 0 or the error number.
    int reserve();

    /// Shape: 0 once it is on disk, else the error number; it may be tried again.
    int write(const Outcome& outcome);

private:
    std::string _folder;
    FileDescriptor _file; ///< under its temporary name
};

} // namespace agent
