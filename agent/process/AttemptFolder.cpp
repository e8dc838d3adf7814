#include "agent/process/AttemptFolder.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

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

void syncFolder(const std::filesystem::path& folder)
{
    const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid() || ::fsync(fd.get()) != 0)
        fail("cannot sync", folder);
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

template <typename Record>
std::optional<Record> recordIn(const std::filesystem::path& file,
                               std::optional<Record> (*from)(const std::string&, std::string*))
{
    const auto text = textOf(file);
    if (!text)
        return std::nullopt;
    std::string why;
    auto record = from(*text, &why);
    if (!record && why.find("is of version") != std::string::npos)
        throw NewerVersion(why);
    // A torn file is as good as none: whoever writes it does nothing that counts before its fsync.
    return record;
}

} // namespace

AttemptFolder::AttemptFolder(const std::filesystem::path& folder)
    : _folder(std::filesystem::absolute(folder).lexically_normal())
{
}

void AttemptFolder::make() const
{
    // The names above count too: were they lost with the power, a stage that ran would look as if it
    // never had.
    std::filesystem::path path;
    for (const auto& part : _folder)
    {
        const std::filesystem::path above = path;
        path /= part;
        if (::mkdir(path.c_str(), 0700) == 0)
        {
            FAILPOINT("launch.folder");
            syncFolder(above);
        }
        else if (errno != EEXIST && !std::filesystem::is_directory(path))
            fail("cannot make the folder", path);
    }
}

void AttemptFolder::write(const Order& order) const
{
    const std::filesystem::path file = _folder / files::order;
    const std::filesystem::path temporary = _folder / "order.json.new";
    {
        const FileDescriptor fd = createFile(temporary, O_WRONLY);
        if (!fd.valid() || !writeAll(fd.get(), toJson(order)))
            fail("cannot write", temporary);
        FAILPOINT("launch.order.written");
        if (::fsync(fd.get()) != 0)
            fail("cannot write", temporary);
    }
    FAILPOINT("launch.order.synced");
    if (std::rename(temporary.c_str(), file.c_str()) != 0)
        fail("cannot put in place", file);
    FAILPOINT("launch.order.renamed");
    syncFolder(_folder);
}

std::optional<Order> AttemptFolder::order() const
{
    try
    {
        return recordIn<Order>(_folder / files::order, orderFrom);
    }
    catch (const NewerVersion&)
    {
        return recordIn<Order>(_folder / files::order, identityFrom);
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
    return recordIn<Claim>(lockFile(), claimFrom);
}

std::optional<Outcome> AttemptFolder::outcome() const
{
    return recordIn<Outcome>(_folder / files::outcome, outcomeFrom);
}

std::optional<Held> AttemptFolder::held() const
{
    const auto text = textOf(_folder / files::held);
    return text ? heldFrom(*text) : std::nullopt;
}

} // namespace agent
