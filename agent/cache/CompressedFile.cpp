#include "agent/cache/CompressedFile.h"

#include "agent/cache/Beneath.h"
#include "agent/os/Files.h"
#include "agent/wire/CacheFiles.h"

#include <stdexcept>

#include <unistd.h>
#include <zstd.h>

namespace agent::cache
{

namespace
{

/// That of `zstd`: a higher one would take longer than a tool saves by it.
constexpr int level = 3;

} // namespace

CompressedFile::CompressedFile(int file)
    : _file(file),
      _zstd(ZSTD_createCCtx(), [](ZSTD_CCtx_s* context) { ZSTD_freeCCtx(context); }),
      _out(ZSTD_CStreamOutSize()),
      _written(caches::beginning)
{
    if (!_zstd)
        throw std::runtime_error("no memory for zstd");
    ZSTD_CCtx_setParameter(_zstd.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(_zstd.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(_zstd.get(), ZSTD_c_nbWorkers, 1); // a library without threads: none
    if (::lseek(file, static_cast<off_t>(caches::beginning), SEEK_SET) < 0)
        throw std::runtime_error("can't write the archive: " + systemError());
}

CompressedFile::~CompressedFile() = default;

void CompressedFile::write(std::string_view bytes)
{
    compress(bytes, false);
}

std::int64_t CompressedFile::finish()
{
    compress({}, true);
    return _written;
}

void CompressedFile::compress(std::string_view bytes, bool last)
{
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true)
    {
        ZSTD_outBuffer out{_out.data(), _out.size(), 0};
        const std::size_t left =
            ZSTD_compressStream2(_zstd.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left) != 0)
            throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(left));
        flush(out.pos);
        if (last ? left == 0 : in.pos == in.size)
            return;
    }
}

void CompressedFile::flush(std::size_t bytes)
{
    if (!writeAll(_file, {_out.data(), bytes}))
        throw std::runtime_error("can't write the archive: " + systemError());
    _written += static_cast<std::int64_t>(bytes);
}

} // namespace agent::cache
