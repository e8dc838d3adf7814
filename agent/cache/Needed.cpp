#include "agent/cache/Needed.h"

#include "agent/cache/Beneath.h"
#include "agent/cache/Place.h"
#include "agent/model/Characters.h"
#include "agent/os/Files.h"
#include "agent/os/Sha256.h"
#include "agent/wire/ArtifactManifest.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

constexpr const char* made = "needed"; ///< in the place's staging folder
constexpr std::size_t blockBytes = 262'144;
constexpr std::size_t longestName = 200;

[[noreturn]] void failSystem(const std::string& what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

std::string sizeText(std::int64_t bytes)
{
    char text[32];
    constexpr double mega = 1e6;
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / mega);
    return text;
}

/// Copies one set into the staging folder of the workspace.
class Copying
{
public:
    Copying(const NeededSet& set, Place& place)
        : _set(openFolder(set.set)), _buffer(blockBytes, '\0'), _zeros(blockBytes, '\0')
    {
        if (!_set.valid())
            failSystem("its files can't be opened");
        if (::mkdirat(place.staging(), made, sharedFolder) != 0)
            failSystem("can't be copied");
        _root = folderBeneath(place.staging(), {made});
        if (!_root.valid())
            failSystem("can't be copied");
    }

    void copy(const Artifact& artifact)
    {
        auto parts = partsOf(artifact.path);
        const std::string last = std::move(parts.back());
        parts.pop_back();
        const int folder = enter(std::move(parts));
        const FileDescriptor from(::openat(_set.get(), artifact.sha256.c_str(),
                                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat status = {};
        if (!from.valid() || ::fstat(from.get(), &status) != 0)
            failSystem("its content can't be read");
        if (!S_ISREG(status.st_mode) || status.st_size != artifact.size)
            throw std::runtime_error("its content is damaged");
        // Never a link: what the stage does to its file is done to no other.
        const FileDescriptor to(::openat(
            folder, last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!to.valid())
            failSystem("can't be written");
        const bool cloned = ::ioctl(to.get(), FICLONE, from.get()) == 0;
        if (digestOf(from.get(), artifact.size, cloned ? -1 : to.get()) != artifact.sha256)
            throw std::runtime_error("its content is damaged");
        if ((!cloned && ::ftruncate(to.get(), artifact.size) != 0) ||
            ::fchmod(to.get(), artifact.mode & 0777U) != 0)
            failSystem("can't be written");
    }

private:
    /// Opens the folder of a file, which the one before it had mostly.
    int enter(std::vector<std::string> parts)
    {
        if (_folder.valid() && _parts == parts)
            return _folder.get();
        _folder = folderBeneath(_root.get(), parts, sharedFolder);
        if (!_folder.valid())
            failSystem("can't be written");
        _parts = std::move(parts);
        return _folder.get();
    }

    /// Reads the file to its end, and writes it to `to`, unless that is none; holes stay holes.
    std::string digestOf(int from, std::int64_t size, int to)
    {
        Sha256 hash;
        for (std::int64_t done = 0; done < size;)
        {
            const off_t data = ::lseek(from, done, SEEK_DATA);
            const std::int64_t next = data >= 0        ? std::min<std::int64_t>(data, size)
                                      : errno == ENXIO ? size
                                                       : done; // a file system without holes
            for (; done < next; done += static_cast<std::int64_t>(blockBytes))
                hash.update(std::string_view(_zeros).substr(
                    0, static_cast<std::size_t>(std::min<std::int64_t>(next - done, blockBytes))));
            done = next;
            const auto wanted =
                static_cast<std::size_t>(std::min<std::int64_t>(size - done, blockBytes));
            const ssize_t got = wanted == 0 ? 0 : ::pread(from, _buffer.data(), wanted, done);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                failSystem("its content can't be read");
            if (got == 0)
                break;
            const auto bytes = std::string_view(_buffer).substr(0, static_cast<std::size_t>(got));
            hash.update(bytes);
            if (to >= 0 && (::lseek(to, done, SEEK_SET) < 0 || !writeAll(to, bytes)))
                failSystem("can't be written");
            done += got;
        }
        return toHex(hash.digest());
    }

    FileDescriptor _set;
    FileDescriptor _root;
    FileDescriptor _folder; ///< of the file before
    std::vector<std::string> _parts;
    std::string _buffer;
    std::string _zeros;
};

/// Returns the line to tell. Errors: std::runtime_error; `at` is the file that it is about, if it is about one.
std::string take(const NeededSet& set, Place& place, std::string& at)
{
    const auto began = std::chrono::steady_clock::now();
    auto list = ArtifactManifest::open(set.list, set.sha256);
    if (!list)
        throw std::runtime_error("the list of its files is missing or damaged");
    place.clear();
    Copying copying(set, place);
    FAILPOINT("needs.copy");
    while (const auto artifact = list->next())
    {
        at = artifact->path;
        copying.copy(*artifact);
    }
    at.clear();
    FAILPOINT("needs.copied");
    place.replace(made, set.to);
    FAILPOINT("needs.settled");
    place.clear(); // what stood there before
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::steady_clock::now() - began)
                        .count();
    return set.what + " of " + set.from + ": " + std::to_string(list->files()) +
           (list->files() == 1 ? " file, " : " files, ") + sizeText(list->bytes()) + " in " +
           std::to_string(ms) + " ms, to " + set.to;
}

bool isFull(const std::error_code& error)
{
    return error == std::errc::no_space_on_device || error.value() == EDQUOT;
}

} // namespace

std::optional<NeedsFailure> takeNeeded(const NeedsPlan& plan,
                                       const std::function<void(const std::string& line)>& say)
{
    Place place(plan.workspace);
    std::string at;
    const auto failed = [&](const NeededSet& set, const std::string& why, bool full)
    {
        const std::string file = at.empty() ? "" : visible(shortened(at, longestName)) + ": ";
        NeedsFailure failure{.message = set.what + " of " + set.from +
                                        " could not be copied: " + file + why,
                             .diskFull = full};
        place.clear(); // first: on a full disk nobody could log the line
        say(failure.message);
        return failure;
    };
    for (const NeededSet& set : plan.sets)
        try
        {
            if (set.from.empty())
                say(set.what + ": there is none, and the stage runs without");
            else
                say(take(set, place, at));
        }
        catch (const std::system_error& error)
        {
            return failed(set, error.what(), isFull(error.code()));
        }
        catch (const std::exception& error)
        {
            return failed(set, error.what(), false);
        }
    return std::nullopt;
}

} // namespace agent::cache
