#include "agent/process/AttemptFolder.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& where)
{
    throw std::system_error(errno, std::generic_category(), what + " '" + where.string() + "'");
}

/// More than any of the files needs: an order carries the settings of one stage, an outcome a message.
constexpr std::size_t mostBytes = 16UL << 20;

/// The file's text; nothing when it is not there or is damaged.
std::optional<std::string> textOf(const std::filesystem::path& file)
{
    try
    {
        return readRegularFile(file, mostBytes);
    }
    catch (const DamagedFile&)
    {
        return std::nullopt;
    }
    catch (const std::system_error& error)
    {
        errno = error.code().value();
        fail("cannot read", file);
    }
}

struct NewerVersion: std::runtime_error
{
    using std::runtime_error::runtime_error;
};

} // namespace

AttemptFolder::AttemptFolder(const std::filesystem::path& folder, Seal seal)
    : _folder(std::filesystem::absolute(folder).lexically_normal()), _seal(std::move(seal))
{
}

template <typename Record>
std::optional<Record> AttemptFolder::record(const char* name,
                                            std::optional<Record> (*from)(const std::string&,
                                                                          std::string*)) const
{
    const auto text = textOf(_folder / name);
    if (!text || !_seal.proves(name, *text))
        return std::nullopt;
    std::string why;
    auto record = from(*text, &why);
    if (!record && why.find("is of version") != std::string::npos)
        throw NewerVersion(why);
    // A torn file is as good as none: whoever writes it does nothing that counts before its fsync.
    return record;
}

void AttemptFolder::make() const
{
    FAILPOINT("launch.folder");
    if (makeBelowRun())
        return;
    if (errno != ENOENT)
        fail("cannot make the folder", _folder);
    std::filesystem::path path;
    for (const auto& part : _folder)
    {
        path /= part;
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
            fail("cannot make the folder", path);
    }
}

void AttemptFolder::write(const Order& order) const
{
    const std::filesystem::path file = _folder / files::order;
    const std::filesystem::path temporary = _folder / "order.json.new";
    {
        const FileDescriptor fd = createFile(temporary, O_WRONLY);
        if (!fd.valid() || !writeAll(fd.get(), order.seal.on(files::order, toJson(order))))
            fail("cannot write", temporary);
        FAILPOINT("launch.order.written");
    }
    if (std::rename(temporary.c_str(), file.c_str()) != 0)
        fail("cannot put in place", file);
    FAILPOINT("launch.order.renamed");
}

bool AttemptFolder::makeBelowRun() const
{
    ::mkdir(_folder.parent_path().c_str(), 0700);
    return ::mkdir(_folder.c_str(), 0700) == 0 || errno == EEXIST;
}

std::optional<Order> AttemptFolder::order() const
{
    try
    {
        return record<Order>(files::order, orderFrom);
    }
    catch (const NewerVersion&)
    {
        return record<Order>(files::order, identityFrom);
    }
}

bool AttemptFolder::lockReplaced() const
{
    try
    {
        RegularFile::open(lockFile());
        return false;
    }
    catch (const DamagedFile&)
    {
        return true;
    }
}

std::optional<Claim> AttemptFolder::claim() const
{
    return record<Claim>(files::lock, claimFrom);
}

std::optional<Outcome> AttemptFolder::outcome() const
{
    return record<Outcome>(files::outcome, outcomeFrom);
}

bool AttemptFolder::outcomeRefused() const
{
    struct stat info = {};
    if (_seal.none() || ::lstat((_folder / files::outcome).c_str(), &info) != 0)
        return false;
    const auto text = textOf(_folder / files::outcome);
    return !text || !_seal.proves(files::outcome, *text);
}

bool AttemptFolder::claimRefused() const
{
    if (_seal.none())
        return false;
    const auto text = textOf(lockFile());
    return text && !text->empty() && !_seal.proves(files::lock, *text);
}

bool AttemptFolder::logIsCut(std::int64_t bytes) const
{
    std::optional<RegularFile> log;
    try
    {
        log = RegularFile::open(_folder / files::log);
    }
    catch (const std::system_error&)
    {
        return bytes > 0; // something else stands there
    }
    if (!log)
        return bytes > 0 && !std::filesystem::exists(_folder / "log.zst");
    const auto size = static_cast<std::int64_t>(log->size());
    if (size < bytes)
        return true;
    if (size == 0)
        return false;
    const off_t hole = ::lseek(log->descriptor(), 0, SEEK_HOLE); // the end counts as one
    if (hole >= 0 && hole < size)
        return true;
    std::array<char, 512> end{};
    const auto last = static_cast<std::size_t>(std::min<std::int64_t>(size, end.size()));
    const auto got = log->read(static_cast<std::uint64_t>(size) - last, end.data(), last);
    return got == last &&
           std::all_of(end.begin(), end.begin() + last, [](char c) { return c == 0; });
}

std::optional<Held> AttemptFolder::held() const
{
    const auto text = textOf(_folder / files::held);
    return text ? heldFrom(*text) : std::nullopt;
}

} // namespace agent
