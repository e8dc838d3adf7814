#include "agent/intake/KnownRefs.h"

#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/os/Sha256.h"

#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t mostBytes = 32UL << 20;

} // namespace

KnownRefs::KnownRefs(std::filesystem::path folder) : _folder(std::move(folder))
{
    std::filesystem::create_directories(_folder);
}

std::filesystem::path KnownRefs::file(const std::string& url) const
{
    Sha256 digest;
    digest.update(url); // it may hold a password, and slashes
    return _folder / toHex(digest.digest());
}

std::optional<RemoteRefs> KnownRefs::read(const std::string& url) const
try
{
    const auto text = readRegularFile(file(url), mostBytes);
    return text && text->ends_with("end\n") ? std::optional(refsFrom(*text)) : std::nullopt;
}
catch (const std::system_error&)
{
    return std::nullopt;
}

void KnownRefs::write(const std::string& url, const RemoteRefs& refs) const
{
    std::string text;
    for (const auto& [name, commit] : refs)
        text += commit + "\t" + name + "\n";
    text += "end\n";
    const auto whole = file(url);
    const std::string part = whole.string() + ".new";
    const FileDescriptor out = createFile(part, O_WRONLY);
    if (!out.valid() || !writeAll(out.get(), text) || ::fsync(out.get()) != 0 ||
        std::rename(part.c_str(), whole.c_str()) != 0)
        throw std::runtime_error(std::system_error(errno, std::generic_category(), part).what());
    const FileDescriptor folder(::open(_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ::fsync(folder.get());
}

void KnownRefs::forget(const std::string& url) const
{
    std::error_code stays;
    std::filesystem::remove(file(url), stays);
}

void KnownRefs::keepOnly(const std::set<std::string>& urls) const
{
    std::set<std::filesystem::path> kept;
    for (const std::string& url : urls)
        kept.insert(file(url).filename());
    std::vector<std::filesystem::path> strays;
    std::error_code stays;
    for (auto entry = std::filesystem::directory_iterator(_folder, stays);
         !stays && entry != std::filesystem::directory_iterator(); entry.increment(stays))
        if (!kept.contains(entry->path().stem())) // also of NAME.new, which may be in the writing
            strays.push_back(entry->path());
    for (const auto& stray : strays)
        std::filesystem::remove(stray, stays);
}

} // namespace agent
