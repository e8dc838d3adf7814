#pragma once

#include "agent/intake/RemoteRefs.h"

#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace agent
{

/// The branches and tags that a polled repository had when it was asked last: one file per repository. It is replaced in one
/// step, after the runs of what it says are on disk: a daemon that is killed between finds the same change again.
class KnownRefs
{
public:
    /// Errors: std::system_error: the folder can't be made.
    explicit KnownRefs(std::filesystem::path folder);

    /// Returns nothing where the repository was never asked, or its file is damaged.
    [[nodiscard]] std::optional<RemoteRefs> read(const std::string& url) const;

    /// Errors: std::runtime_error; what was known stays.
    void write(const std::string& url, const RemoteRefs& refs) const;

    /// Removes what is known of the repository. What can't be removed stays.
    void forget(const std::string& url) const;

    /// The same of all but these.
    void keepOnly(const std::set<std::string>& urls) const;

private:
    [[nodiscard]] std::filesystem::path file(const std::string& url) const;

    const std::filesystem::path _folder;
};

} // namespace agent
