#include "agent/collect/Manifest.h"

#include "agent/collect/ContentHash.h"
#include "agent/collect/NotKept.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/wire/Collected.h"
#include "agent/wire/JsonObject.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t mostBytes = 64UL << 20;

} // namespace

void Manifest::add(ManifestEntry entry)
{
    // Before there are a hundred thousand paths of 4 KiB in memory.
    if ((_pathBytes += entry.path.size()) > mostBytes)
        throw NotKept("the paths of the files are too long together");
    _bytes += entry.size;
    _entries.push_back(std::move(entry));
}

std::string Manifest::text()
{
    std::sort(_entries.begin(), _entries.end(),
              [](const ManifestEntry& a, const ManifestEntry& b) { return a.path < b.path; });
    ObjectWriter head;
    head.number("version", 1);
    head.text("name", _name);
    head.number("files", files());
    head.number("bytes", _bytes);
    std::string text = head.finish() + '\n';
    for (const ManifestEntry& entry : _entries)
    {
        ObjectWriter line;
        line.text("path", entry.path);
        line.number("mode", entry.mode);
        line.number("size", entry.size);
        line.text("sha256", entry.digest);
        text.append(line.finish()).push_back('\n');
        if (text.size() > mostBytes)
            throw NotKept("the paths of the files are too long together");
    }
    return text;
}

std::string Manifest::write(const std::string& attempt, bool synced)
{
    const std::string content = text();
    const FileDescriptor file = createFile(attempt + "/" + agent::files::manifest, O_WRONLY);
    if (!file.valid() || !writeAll(file.get(), content) || (synced && ::fsync(file.get()) != 0))
        throw std::system_error(errno, std::generic_category(), "cannot write the list of files");
    ContentHash hash;
    hash.update(content);
    return hash.digest();
}

} // namespace agent
