#include "agent/ctl/Download.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Follow.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::ctl
{

namespace
{

constexpr const char* partEnding = ".part";

/// Each piece of an answer has to come within.
constexpr std::chrono::seconds patience{60};

Failure cantWrite(const std::filesystem::path& file)
{
    return {Exit::Usage, "can't write " + visible(file.string()) + ": " + std::strerror(errno)};
}

/// Whether a path stays below the folder that it is put into.
bool staysBelow(const std::string& path)
{
    for (std::size_t begin = 0; begin <= path.size();)
    {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const auto part = std::string_view(path).substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..")
            return false;
        begin = end + 1;
    }
    return path.find('\0') == std::string::npos;
}

/// A file that grows, and the digest of what is in it.
class PartFile
{
public:
    explicit PartFile(std::filesystem::path path)
        : _path(std::move(path)),
          _fd(::open(_path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600))
    {
        struct stat status = {};
        if (!_fd.valid() || ::fstat(_fd.get(), &status) != 0)
            throw cantWrite(_path);
        if (!S_ISREG(status.st_mode))
            throw Failure(Exit::Usage, visible(_path.string()) + " is no regular file");
        std::string block(1UL << 20, '\0');
        for (ssize_t got = 1; got > 0;)
        {
            got = ::pread(_fd.get(), block.data(), block.size(), _size);
            if (got < 0)
                throw cantWrite(_path);
            _hash.update(std::string_view(block).substr(0, static_cast<std::size_t>(got)));
            _size += got;
        }
    }

    [[nodiscard]] std::int64_t size() const { return _size; }

    void clear()
    {
        if (::ftruncate(_fd.get(), 0) != 0)
            throw cantWrite(_path);
        _hash = {};
        _size = 0;
    }

    void append(std::string_view bytes)
    {
        for (std::string_view left = bytes; !left.empty();)
        {
            const ssize_t put = ::pwrite(_fd.get(), left.data(), left.size(), _size);
            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                throw cantWrite(_path);
            _hash.update(left.substr(0, static_cast<std::size_t>(put)));
            left.remove_prefix(static_cast<std::size_t>(put));
            _size += put;
        }
    }

    /// To be called once, last.
    std::string sha256() { return toHex(_hash.digest()); }

    void remove() const { ::unlink(_path.c_str()); }

    /// Gives it its mode and its name.
    void finish(const std::filesystem::path& target, unsigned mode) const
    {
        if (::fchmod(_fd.get(), mode & 0777U) != 0 || ::rename(_path.c_str(), target.c_str()) != 0)
            throw cantWrite(target);
    }

private:
    std::filesystem::path _path;
    FileDescriptor _fd;
    Sha256 _hash;
    std::int64_t _size = 0;
};

} // namespace

RemoteFile remoteFileFrom(const rapidjson::Value& json)
{
    RemoteFile file{.path = text(json, "path"),
                    .size = number(json, "size").value_or(-1),
                    .sha256 = text(json, "sha256")};
    file.mode = static_cast<unsigned>(std::strtoul(text(json, "mode").c_str(), nullptr, 8)) & 0777U;
    if (!staysBelow(file.path) || file.size < 0 || file.sha256.size() != 64)
        throw Failure(Exit::AgentFailed,
                      "the agent lists a file that none can be: '" + visible(file.path) + "'");
    return file;
}

bool Download::fetch(const RemoteFile& file)
{
    const auto target = _folder / file.path;
    std::error_code error;
    std::filesystem::create_directories(target.parent_path(), error);
    if (error)
        throw Failure(Exit::Usage, "can't make " + visible(target.parent_path().string()) + ": " +
                                       error.message());
    _progress.show(file.path);
    if (isThere(target, file))
    {
        _progress.add(file.size, false);
        return false;
    }
    PartFile part(target.string() + partEnding);
    if (part.size() > file.size)
        part.clear();
    _progress.add(part.size(), false);
    OutageTolerance tolerance;
    while (part.size() < file.size)
    {
        bool refused = false;
        const auto receive = [&]
        {
            Call call{.path =
                          "/api/stages/" + file.stageId + "/artifacts?path=" + encoded(file.path),
                      .timeout = patience};
            if (part.size() > 0)
                call.headers = {{"Range", "bytes=" + std::to_string(part.size()) + "-"},
                                {"If-Range", "\"" + file.sha256 + "\""}};
            bool begun = false;
            const Answer answer = _client.stream(
                call,
                [&](const Answer& head, std::string_view piece)
                {
                    if (!std::exchange(begun, true) && head.status != 206 && part.size() > 0)
                    {
                        _progress.add(-part.size(), false);
                        part.clear();
                    }
                    if (part.size() + static_cast<std::int64_t>(piece.size()) > file.size)
                        throw Failure(Exit::AgentFailed, "the agent sent more of '" +
                                                             visible(file.path) +
                                                             "' than the stage left");
                    part.append(piece);
                    _progress.add(static_cast<std::int64_t>(piece.size()), true);
                });
            if (answer.status < 200 || answer.status > 299)
                refuse(answer);
            refused = !begun; // an answer without a content gets us no further
        };
        if (tolerance.attempt(receive, note))
        {
            if (refused)
                throw Failure(Exit::AgentFailed,
                              "the agent sent nothing of '" + visible(file.path) + "'");
        }
        else
            waitForNextPoll();
    }
    if (const std::string digest = part.sha256(); digest != file.sha256)
    {
        part.remove();
        throw Failure(Exit::AgentFailed,
                      "'" + visible(file.path) + "' is not what the stage left: its SHA-256 is " +
                          digest + ", not " + visible(file.sha256) +
                          "\nit was removed; to fetch it anew, repeat the command");
    }
    part.finish(target, file.mode);
    return true;
}

bool Download::isThere(const std::filesystem::path& target, const RemoteFile& file) const
{
    struct stat status = {};
    if (::lstat(target.c_str(), &status) != 0)
        return false;
    if (S_ISDIR(status.st_mode))
        throw Failure(Exit::Usage, visible(target.string()) + " is a folder");
    if (!S_ISREG(status.st_mode) || status.st_size != file.size)
        return false;
    PartFile there(target);
    return there.sha256() == file.sha256;
}

} // namespace agent::ctl
