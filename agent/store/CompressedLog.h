#pragma once

#include "agent/os/RegularFile.h"

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace agent
{

constexpr const char* packedLogName = "log.zst";

/// A `log.zst`: the log in pieces of 1 MiB, each a zstd frame, with a table of them at the end. `zstd -dc` also
/// decompresses it.
/// Threads: one at a time (the last piece is cached).
/// Source: zstd's contrib/seekable_format/zstd_seekable_compression_format.md; docs/log-format.md.
class CompressedLog
{
public:
    /// Errors: std::runtime_error if the file is not such a log.
    explicit CompressedLog(RegularFile file);

    /// Returns the size of the uncompressed log.
    [[nodiscard]] std::uint64_t size() const { return _pieces.back().plain; }

    /// As LogReader::read. Errors: also std::runtime_error if a piece is damaged.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size);

private:
    /// The offsets of a piece in the log and in the file.
    struct Piece
    {
        std::uint64_t plain = 0;
        std::uint64_t packed = 0;
    };

    void load(std::size_t piece);

    RegularFile _file;
    std::vector<Piece> _pieces; ///< the last one is the end
    std::size_t _loaded = 0;    ///< its number from 1; 0: none
    std::string _bytes;         ///< of the loaded piece
};

/// Replaces the `log` of an ended attempt by `log.zst`. A crash leaves at least one of them intact, and a second
/// call completes the work. Readers with the log open are not affected.
/// Blocks about a second per 100 MB, or until `stop`: then, and on errors, `log` is kept.
/// Errors: std::system_error, std::runtime_error.
void compressLog(const std::filesystem::path& folder, const std::stop_token& stop = {});

} // namespace agent
