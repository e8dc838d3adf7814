#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// One kept file.
struct ManifestEntry
{
    std::string path;
    unsigned mode = 0;
    std::int64_t size = 0;
    std::string digest;
};

/// What an attempt has kept: docs/artifacts.md, "The manifest".
class Manifest
{
public:
    explicit Manifest(std::string name) : _name(std::move(name)) {}

    /// Errors: NotKept where the paths are more than readers take.
    void add(ManifestEntry entry);

    [[nodiscard]] std::int64_t files() const { return static_cast<std::int64_t>(_entries.size()); }
    [[nodiscard]] std::int64_t bytes() const { return _bytes; }

    /// Puts it into the folder `attempt`, in place of what stands there. `synced`: brings it to disk too.
    /// Returns its SHA-256. Errors: NotKept where it is longer than readers take; std::system_error.
    std::string write(const std::string& attempt, bool synced);

private:
    [[nodiscard]] std::string text();

    std::string _name;
    std::vector<ManifestEntry> _entries;
    std::int64_t _bytes = 0;
    std::size_t _pathBytes = 0;
};

} // namespace agent
