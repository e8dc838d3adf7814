#include "plugins/git/PipelineFile.h"

#include "agent/plugin/StagePlugin.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <string_view>
#include <unistd.h>

namespace agent::git
{

namespace
{

constexpr std::size_t mostBytes = 131'072; // as the agent takes: pipelineBounds::file

/// An open file, closed at the end of its scope.
class OpenFile
{
public:
    OpenFile(const std::string& path, int flags)
        : _fd(::open(path.c_str(), flags | O_CLOEXEC, 0600))
    {
    }
    ~OpenFile()
    {
        if (_fd >= 0)
            ::close(_fd);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    [[nodiscard]] bool valid() const { return _fd >= 0; }
    [[nodiscard]] bool sync() const { return ::fsync(_fd) == 0; }

    [[nodiscard]] bool write(std::string_view text) const
    {
        while (!text.empty())
        {
            const ssize_t done = ::write(_fd, text.data(), text.size());
            if (done < 0 && errno != EINTR)
                return false;
            text.remove_prefix(done < 0 ? 0 : static_cast<std::size_t>(done));
        }
        return true;
    }

private:
    int _fd;
};

} // namespace

PipelineFile PipelineFile::read()
{
    using Context = v1::StageContext;
    PipelineFile file;
    file._path = Context::variable("STAGE_AGENT_PIPELINE");
    file._ref = Context::variable("STAGE_AGENT_PIPELINE_REF");
    file._copy = Context::variable("STAGE_AGENT_PIPELINE_COPY");
    return file;
}

void PipelineFile::handOver(const Repository& repository, Mirror& mirror,
                            const std::string& commit) const
{
    // A ref by its full name is fetched anew: an old file of the branch must not count.
    const std::string from = _ref.empty() ? commit : mirror.find(_ref).commit;
    mirror.bring(from, _path);
    write(contentOf(repository, mirror.path(), from));
    std::cout << "git: the stages stand in " << printable(_path) << " of " << from.substr(0, 12)
              << std::endl;
}

std::string PipelineFile::contentOf(const Repository& repository, const std::string& mirror,
                                    const std::string& commit) const
{
    const auto read = [&](const Arguments& argv)
    {
        const Ended ended = repository.run(argv);
        if (!ended.passed())
            throw Failure("git: can't read " + printable(_path) + " of " + repository.name() +
                          ": " + repository.why(ended));
        return ended.out;
    };
    // `100644 blob ID`, tab, path, NUL
    const std::string entry = read(command::listLinks(mirror, commit, {_path}));
    const std::string what = entry.substr(0, entry.find('\t'));
    if (what.empty())
        return "there is no such file in the commit " + commit + "\n";
    constexpr std::string_view blob = " blob ";
    const std::size_t at = what.find(blob);
    if (!what.starts_with("100") || at == std::string::npos)
        return "is no regular file in the commit " + commit + "\n";
    const std::string id = what.substr(at + blob.size());
    if (!isCommit(id))
        throw Failure("git: can't read " + printable(_path) + " of " + repository.name());
    const std::string size = read(command::sizeOfFile(mirror, id));
    std::size_t bytes = mostBytes + 1;
    std::from_chars(size.data(), size.data() + size.size(), bytes);
    if (bytes > mostBytes)
        return "is longer than " + std::to_string(mostBytes) + " bytes\n";
    return "file " + id + "\n" + read(command::printFile(mirror, id));
}

void PipelineFile::write(const std::string& content) const
{
    ::unlink(_copy.c_str()); // of an attempt that was killed
    const OpenFile file(_copy, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    const OpenFile folder(_copy.substr(0, _copy.rfind('/')), O_RDONLY | O_DIRECTORY);
    if (!file.valid() || !folder.valid() || !file.write(content) || !file.sync() || !folder.sync())
        throw Failure("git: can't write " + _copy + ": " + std::strerror(errno));
}

} // namespace agent::git
