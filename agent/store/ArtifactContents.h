#pragma once

#include "agent/os/RegularFile.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// The contents of artifacts, by their SHA-256. Source: docs/artifacts.md.
/// Threads: any.
class ArtifactContents
{
public:
    /// `root`: `<state>/artifacts`.
    explicit ArtifactContents(std::filesystem::path root) : _root(std::move(root)) {}

    /// Opens the content with this digest. It is not read: who gets it compares the digest.
    /// Returns nothing when it is there no more, or is not of this size. Errors: std::system_error.
    [[nodiscard]] std::optional<RegularFile> open(const std::string& sha256,
                                                  std::int64_t size) const;

private:
    std::filesystem::path _root;
};

} // namespace agent
