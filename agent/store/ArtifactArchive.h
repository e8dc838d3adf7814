#pragma once

#include "agent/model/Timestamp.h"
#include "agent/os/Sha256.h"
#include "agent/store/ArtifactContents.h"
#include "agent/wire/ArtifactManifest.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct ZSTD_CCtx_s;

namespace agent
{

/// The artifacts of one attempt in an archive, below a folder of their own.
struct ArchivedSet
{
    std::string folder; ///< one name; two sets have different ones
    ArtifactManifest manifest;
    TimeMs writtenAt = 0; ///< of all its files
};

/// A tar archive of artifacts, compressed by zstd, that is made while it is sent: of whatever size they are, some megabytes are
/// in memory, and one content is open.
/// Threads: one at a time.
class ArtifactArchive
{
public:
    /// Errors: std::bad_alloc.
    ArtifactArchive(ArtifactContents contents, std::vector<ArchivedSet> sets);

    /// Appends what comes next: 256 KiB at most, perhaps nothing. Returns false with the last of it. Blocks for 4 MiB to be read
    /// and compressed.
    /// Errors: std::runtime_error that names the file whose content is there no more, or not what was kept: nothing of the archive's
    /// end may be sent then; std::system_error.
    bool next(std::string& out);

private:
    struct ReleaseContext
    {
        void operator()(ZSTD_CCtx_s* context) const;
    };

    bool fill();
    void begin(const std::string& folder, const Artifact& artifact, TimeMs writtenAt);
    void compress(std::string& out, bool last);

    ArtifactContents _contents;
    std::vector<ArchivedSet> _sets;
    std::unique_ptr<ZSTD_CCtx_s, ReleaseContext> _context;
    std::size_t _set = 0;
    std::string _path; ///< of the file that is being read
    std::optional<RegularFile> _file;
    std::int64_t _size = 0;
    std::int64_t _done = 0;
    Sha256 _hash; ///< of what was read of it
    std::string _digest;
    std::string _plain; ///< of the archive, to be compressed next
};

} // namespace agent
