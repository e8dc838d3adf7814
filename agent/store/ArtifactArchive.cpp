#include "agent/store/ArtifactArchive.h"

#include "agent/store/TarEntry.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include <zstd.h>

namespace agent
{

namespace
{

/// As of logs: fast, with a good ratio.
constexpr int level = 3;

// What zstd keeps back comes on top: a block of 128 KiB.
constexpr std::size_t enoughOut = 32'768;
constexpr std::size_t partBytes = 65'536;

/// Others shall have the thread in between, however well it compresses.
constexpr std::size_t mostRead = 4UL << 20;

[[noreturn]] void throwGone(const std::string& path)
{
    throw std::runtime_error("the content of " + path + " is there no more");
}

[[noreturn]] void throwDamaged(const std::string& path)
{
    throw std::runtime_error("the content of " + path + " is damaged");
}

std::size_t checked(std::size_t result)
{
    if (ZSTD_isError(result) != 0)
        throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
    return result;
}

} // namespace

void ArtifactArchive::ReleaseContext::operator()(ZSTD_CCtx_s* context) const
{
    ZSTD_freeCCtx(context);
}

ArtifactArchive::ArtifactArchive(ArtifactContents contents, std::vector<ArchivedSet> sets)
    : _contents(std::move(contents)), _sets(std::move(sets)), _context(ZSTD_createCCtx())
{
    if (!_context)
        throw std::bad_alloc();
    checked(ZSTD_CCtx_setParameter(_context.get(), ZSTD_c_compressionLevel, level));
    checked(ZSTD_CCtx_setParameter(_context.get(), ZSTD_c_checksumFlag, 1));
}

bool ArtifactArchive::next(std::string& out)
{
    std::size_t read = 0;
    while (out.size() < enoughOut && read < mostRead)
    {
        const bool more = fill();
        read += _plain.size();
        compress(out, !more);
        if (!more)
            return false;
    }
    return true;
}

/// Makes the next part of the archive. Returns false with the last one.
bool ArtifactArchive::fill()
{
    _plain.clear();
    while (_plain.size() < partBytes)
    {
        if (_file)
        {
            const auto left = static_cast<std::size_t>(_size - _done);
            const std::size_t had = _plain.size();
            _plain.resize(had + std::min(left, partBytes));
            const std::size_t wanted = _plain.size() - had;
            if (_file->read(static_cast<std::uint64_t>(_done), _plain.data() + had, wanted) !=
                wanted)
                throwGone(_path);
            _hash.update({_plain.data() + had, wanted});
            _done += static_cast<std::int64_t>(wanted);
            if (_done < _size)
                continue;
            if (toHex(_hash.digest()) != _digest)
                throwDamaged(_path);
            _plain += tarPadding(_size);
            _file.reset();
        }
        else if (_set == _sets.size())
        {
            _plain += tarEnd();
            return false;
        }
        else if (const auto artifact = _sets[_set].manifest.next())
            begin(_sets[_set].folder, *artifact, _sets[_set].writtenAt);
        else
            ++_set;
    }
    return true;
}

void ArtifactArchive::begin(const std::string& folder, const Artifact& artifact, TimeMs writtenAt)
{
    _file = _contents.open(artifact.sha256, artifact.size);
    _path = folder + "/" + artifact.path;
    if (!_file)
        throwGone(_path);
    _size = artifact.size;
    _done = 0;
    _hash = {};
    _digest = artifact.sha256;
    _plain += tarHeader(_path, artifact.mode, _size, writtenAt);
}

void ArtifactArchive::compress(std::string& out, bool last)
{
    ZSTD_inBuffer input{_plain.data(), _plain.size(), 0};
    for (std::size_t left = 1; left != 0 || input.pos < input.size;)
    {
        const std::size_t had = out.size();
        out.resize(had + ZSTD_CStreamOutSize());
        ZSTD_outBuffer output{out.data() + had, out.size() - had, 0};
        left = checked(ZSTD_compressStream2(_context.get(), &output, &input,
                                            last ? ZSTD_e_end : ZSTD_e_continue));
        out.resize(had + output.pos);
        if (!last && input.pos == input.size)
            break;
    }
}

} // namespace agent
