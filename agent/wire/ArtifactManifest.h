#pragma once

#include "agent/os/RegularFile.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

constexpr const char* manifestName = "artifacts.jsonl";

/// A file that a stage left.
struct Artifact
{
    std::string path; ///< in the workspace; UTF-8
    unsigned mode = 0;
    std::int64_t size = 0;
    std::string sha256;
};

/// The list of files that an attempt left, read a part at a time, in the order of the bytes of their paths. Source: docs/artifacts.md.
/// Threads: one at a time.
class ArtifactManifest
{
public:
    /// Opens the manifest in the folder of an attempt. `sha256`: of all of it, as the record has it; another one is not
    /// that of the attempt's collector. Blocks while all of it is read, 64 MiB at most.
    /// Returns nothing when there is none, or another one. Errors: std::system_error; std::runtime_error when a newer version wrote it.
    static std::optional<ArtifactManifest> open(const std::filesystem::path& folder,
                                                const std::string& sha256);

    [[nodiscard]] const std::string& name() const { return _name; }
    [[nodiscard]] std::int64_t files() const { return _files; }
    [[nodiscard]] std::int64_t bytes() const { return _bytes; }

    /// Returns the next file; nothing behind the last one.
    /// Errors: std::runtime_error when the manifest was changed since; std::system_error.
    std::optional<Artifact> next();

    /// Looks among those that next() has not given yet. Errors: as next().
    std::optional<Artifact> find(std::string_view path);

private:
    explicit ArtifactManifest(RegularFile file) : _file(std::move(file)) {}

    bool readHead();
    std::optional<std::string_view> line();

    RegularFile _file;
    std::string _name;
    std::int64_t _files = 0;
    std::int64_t _bytes = 0;
    std::string _block;        ///< of the file, from _offset - _block.size()
    std::size_t _at = 0;       ///< of the next line in _block
    std::uint64_t _offset = 0; ///< in the file, of what is not in _block yet
};

} // namespace agent
