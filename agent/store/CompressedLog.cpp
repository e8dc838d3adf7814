#include "agent/store/CompressedLog.h"

#include "agent/wire/Failpoint.h"
#include "agent/wire/Order.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

namespace agent
{

namespace
{

constexpr std::size_t pieceSize = 1048576;
constexpr std::uint32_t tableMagic = 0x184D2A5E;
constexpr std::uint32_t footerMagic = 0x8F92EAB1;
constexpr std::size_t headerSize = 8; ///< of the table's frame
constexpr std::size_t entrySize = 8;
constexpr std::size_t footerSize = 9;

/// A fast level with a good ratio: about 10:1 for build logs.
constexpr int level = 3;

void appendNumber(std::string& out, std::uint32_t number)
{
    for (int shift = 0; shift < 32; shift += 8)
        out += static_cast<char>(number >> shift & 0xFF);
}

std::uint32_t numberAt(const char* bytes)
{
    std::uint32_t number = 0;
    for (unsigned i = 0; i < 4; ++i)
        number |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i])) << 8 * i;
    return number;
}

[[noreturn]] void throwErrno(const std::filesystem::path& file)
{
    throw std::system_error(errno, std::generic_category(), file.string());
}

[[noreturn]] void throwDamaged(const std::string& why)
{
    throw std::runtime_error("log.zst is damaged: " + why);
}

/// The new file beside the log in a folder that is held; the destructor removes it unless it was kept.
class NewFile
{
public:
    NewFile(int folder, std::string name)
        : _folder(folder),
          _name(std::move(name)),
          _temporary(_name + ".new"),
          _fd(createFileAt(_folder, _temporary, O_WRONLY))
    {
        if (!_fd.valid())
            throwErrno(_temporary);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile()
    {
        if (!_kept)
            ::unlinkat(_folder, _temporary.c_str(), 0);
    }

    void write(const char* bytes, std::size_t size)
    {
        while (size > 0)
        {
            const ssize_t put = ::write(_fd.get(), bytes, size);
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                throwErrno(_temporary);
            bytes += put;
            size -= static_cast<std::size_t>(put);
        }
    }

    /// Renames it into place with the log's modification time: without an index that is the time of all lines.
    void keep(std::int64_t writtenUs)
    {
        const timespec time{.tv_sec = static_cast<time_t>(writtenUs / 1'000'000),
                            .tv_nsec = static_cast<long>(writtenUs % 1'000'000 * 1000)};
        const timespec times[]{time, time};
        if (::futimens(_fd.get(), times) != 0 || ::fsync(_fd.get()) != 0)
            throwErrno(_temporary);
        FAILPOINT("compress.synced");
        if (::renameat(_folder, _temporary.c_str(), _folder, _name.c_str()) != 0)
            throwErrno(_temporary);
        _kept = true;
        if (::fsync(_folder) != 0)
            throwErrno(_name);
    }

private:
    int _folder;
    std::string _name;
    std::string _temporary;
    FileDescriptor _fd;
    bool _kept = false;
};

} // namespace

CompressedLog::CompressedLog(RegularFile file) : _file(std::move(file))
{
    const std::uint64_t size = _file.size();
    std::array<char, footerSize> footer = {};
    if (size < headerSize + footerSize)
        throwDamaged("too short");
    _file.read(size - footerSize, footer.data(), footerSize);
    const std::uint64_t count = numberAt(footer.data());
    const std::uint64_t tableSize = headerSize + count * entrySize + footerSize;
    if (numberAt(&footer[5]) != footerMagic || footer[4] != 0 || tableSize > size)
        throwDamaged("no table at its end");

    std::string table(static_cast<std::size_t>(tableSize), '\0');
    _file.read(size - tableSize, table.data(), table.size());
    if (numberAt(table.data()) != tableMagic || numberAt(&table[4]) != tableSize - headerSize)
        throwDamaged("no table at its end");
    Piece end;
    _pieces.push_back(end);
    for (std::uint64_t i = 0; i < count; ++i)
    {
        const char* entry = &table[headerSize + i * entrySize];
        end.packed += numberAt(entry);
        end.plain += numberAt(entry + 4);
        const std::uint32_t plain = numberAt(entry + 4);
        const bool full = i + 1 < count ? plain == pieceSize : plain > 0 && plain <= pieceSize;
        if (!full || numberAt(entry) > ZSTD_compressBound(pieceSize))
            throwDamaged("a piece that is not 1 MiB");
        _pieces.push_back(end);
    }
    if (end.packed != size - tableSize)
        throwDamaged("the table does not fit the file");
}

std::size_t CompressedLog::read(std::uint64_t offset, char* buffer, std::size_t size)
{
    std::size_t done = 0;
    while (done < size && offset < this->size())
    {
        const auto next =
            std::upper_bound(_pieces.begin(), _pieces.end(), offset,
                             [](std::uint64_t at, const Piece& piece) { return at < piece.plain; });
        const auto piece = static_cast<std::size_t>(next - _pieces.begin()) - 1;
        load(piece);
        const auto from = static_cast<std::size_t>(offset - _pieces[piece].plain);
        const std::size_t part = std::min(size - done, _bytes.size() - from);
        std::memcpy(buffer + done, _bytes.data() + from, part);
        done += part;
        offset += part;
    }
    return done;
}

void CompressedLog::load(std::size_t piece)
{
    if (_loaded == piece + 1)
        return;
    _loaded = 0;
    const Piece& begin = _pieces[piece];
    const Piece& end = _pieces[piece + 1];
    std::string packed(static_cast<std::size_t>(end.packed - begin.packed), '\0');
    _file.read(begin.packed, packed.data(), packed.size());
    _bytes.resize(static_cast<std::size_t>(end.plain - begin.plain));
    const std::size_t got =
        ZSTD_decompress(_bytes.data(), _bytes.size(), packed.data(), packed.size());
    if (ZSTD_isError(got) != 0U)
        throwDamaged(ZSTD_getErrorName(got));
    if (got != _bytes.size())
        throwDamaged("a piece of another size than its table says");
    _loaded = piece + 1;
}

void compressLog(const std::filesystem::path& folder, const std::stop_token& stop)
{
    const std::filesystem::path plain = folder / files::log;
    // The folder is the caller's to choose, also as /proc/self/fd/N.
    const FileDescriptor at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!at.valid())
        throwErrno(folder);
    const std::optional<RegularFile> log = RegularFile::openAt(at.get(), files::log);
    if (!log)
        return;

    const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                       &ZSTD_freeCCtx);
    if (context == nullptr)
        throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);

    NewFile file(at.get(), packedLogName);
    std::string piece(pieceSize, '\0');
    std::string packed(ZSTD_compressBound(pieceSize), '\0');
    std::string entries;
    std::uint64_t offset = 0;
    while (const std::size_t got = log->read(offset, piece.data(), piece.size()))
    {
        if (stop.stop_requested())
            return;
        const std::size_t size =
            ZSTD_compress2(context.get(), packed.data(), packed.size(), piece.data(), got);
        if (ZSTD_isError(size) != 0U)
            throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(size));
        file.write(packed.data(), size);
        appendNumber(entries, static_cast<std::uint32_t>(size));
        appendNumber(entries, static_cast<std::uint32_t>(got));
        offset += got;
    }

    std::string table;
    appendNumber(table, tableMagic);
    appendNumber(table, static_cast<std::uint32_t>(entries.size() + footerSize));
    table += entries;
    appendNumber(table, static_cast<std::uint32_t>(entries.size() / entrySize));
    table += '\0'; // no checksums in the table: each frame has its own
    appendNumber(table, footerMagic);
    file.write(table.data(), table.size());
    file.keep(log->writtenUs());

    FAILPOINT("compress.renamed");
    if (::unlink(plain.c_str()) != 0)
        throwErrno(plain);
}

} // namespace agent
