#include "agent/cache/Decompressor.h"

#include "agent/cache/Beneath.h"
#include "agent/wire/CacheFiles.h"

#include <cerrno>
#include <memory>
#include <stdexcept>

#include <unistd.h>
#include <zstd.h>

namespace agent::cache
{

namespace
{

constexpr std::size_t blockBytes = std::size_t{1} << 20;
constexpr std::size_t blocksAhead = 4;

/// CompressedFile needs 2 MiB: whoever says more wants our memory.
constexpr int windowLogMost = 23;

} // namespace

Decompressor::Decompressor(int file)
    : _file(file), _thread([this](const std::stop_token& stop) { work(stop); })
{
}

Decompressor::~Decompressor() = default;

std::string_view Decompressor::next()
{
    std::unique_lock lock(_mutex);
    _changed.wait(lock, [this] { return !_blocks.empty() || _ended; });
    if (_blocks.empty())
    {
        if (!_failure.empty())
            throw std::runtime_error(_failure);
        return {};
    }
    _current = std::move(_blocks.front());
    _blocks.pop_front();
    lock.unlock();
    _changed.notify_all();
    return {_current.data(), _current.size()};
}

void Decompressor::work(const std::stop_token& stop)
{
    std::string failure;
    try
    {
        read(stop);
    }
    catch (const std::exception& error)
    {
        failure = error.what();
    }
    {
        const std::lock_guard lock(_mutex);
        _ended = true;
        _failure = failure;
    }
    _changed.notify_all();
}

void Decompressor::read(const std::stop_token& stop)
{
    const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> zstd(ZSTD_createDCtx(),
                                                                       ZSTD_freeDCtx);
    if (!zstd)
        throw std::runtime_error("no memory for zstd");
    ZSTD_DCtx_setParameter(zstd.get(), ZSTD_d_windowLogMax, windowLogMost);
    std::vector<char> in(std::size_t{256} << 10);
    auto offset = static_cast<off_t>(caches::beginning);
    bool whole = false; // the frame is read, its checksum right
    while (true)
    {
        const ssize_t got = ::pread(_file, in.data(), in.size(), offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw std::runtime_error("can't be read: " + systemError());
        if (got == 0 && !whole)
            throw std::runtime_error("is torn");
        if (got == 0)
            return;
        if (whole)
            throw std::runtime_error("has something behind its end");
        offset += got;
        ZSTD_inBuffer source{in.data(), static_cast<std::size_t>(got), 0};
        bool full = true; // there may be more of it in zstd's memory
        while (source.pos < source.size || full)
        {
            if (whole && source.pos < source.size)
                throw std::runtime_error("has something behind its end");
            Block block(blockBytes);
            ZSTD_outBuffer out{block.data(), block.size(), 0};
            const std::size_t left = ZSTD_decompressStream(zstd.get(), &out, &source);
            if (ZSTD_isError(left) != 0)
                throw std::runtime_error(std::string("is damaged: ") + ZSTD_getErrorName(left));
            whole = left == 0;
            full = !whole && out.pos == out.size;
            block.resize(out.pos);
            if (!block.empty() && !put(std::move(block), stop))
                return;
            if (whole && source.pos == source.size)
                break;
        }
    }
}

bool Decompressor::put(Block block, const std::stop_token& stop)
{
    std::unique_lock lock(_mutex);
    if (!_changed.wait(lock, stop, [this] { return _blocks.size() < blocksAhead; }))
        return false;
    _blocks.push_back(std::move(block));
    lock.unlock();
    _changed.notify_all();
    return true;
}

} // namespace agent::cache
