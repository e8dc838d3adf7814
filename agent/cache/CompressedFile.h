#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

struct ZSTD_CCtx_s;

namespace agent::cache
{

/// Writes bytes as one zstd frame with a checksum, behind the beginning of an archive. It compresses on a thread of its own,
/// so that files are read meanwhile.
class CompressedFile
{
public:
    /// `file`: is written to from caches::beginning on; stays the caller's.
    explicit CompressedFile(int file);
    ~CompressedFile();
    CompressedFile(const CompressedFile&) = delete;
    CompressedFile& operator=(const CompressedFile&) = delete;

    /// Errors: std::runtime_error, as finish().
    void write(std::string_view bytes);

    /// Ends the frame. Returns the size of the file.
    std::int64_t finish();

private:
    void compress(std::string_view bytes, bool last);
    void flush(std::size_t bytes);

    int _file;
    std::unique_ptr<ZSTD_CCtx_s, void (*)(ZSTD_CCtx_s*)> _zstd;
    std::vector<char> _out;
    std::int64_t _written;
};

} // namespace agent::cache
