#include "agent/exec/ExecFolder.h"

#include "agent/exec/ExecRequest.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

namespace
{

std::filesystem::path temporaryFolder()
{
    const char* given = std::getenv("TMPDIR");
    return std::filesystem::absolute(given && *given ? given : "/tmp").lexically_normal();
}

} // namespace

ExecFolder::ExecFolder()
{
    std::error_code unknown;
    auto above = std::filesystem::canonical(temporaryFolder(), unknown);
    if (unknown)
        above = temporaryFolder();
    std::string name = (above / "stage-exec-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr)
    {
        _path = name;
        _folder = FileDescriptor(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (_folder.valid())
            return;
        const int error = errno;
        ::rmdir(name.c_str());
        errno = error;
    }
    throw ExecRefusal(ExecExit::Usage, "no folder can be made in " + above.string() + ": " +
                                           std::strerror(errno) +
                                           ". Set TMPDIR to where there is room");
}

ExecFolder::~ExecFolder()
{
    if (!_over)
        remove();
}

std::filesystem::path ExecFolder::attempt(const Stage& stage) const
{
    return _path / (std::to_string(stage.ordinal) + "-" + std::string(toString(stage.type))) /
           std::to_string(stage.attempt);
}

std::vector<Remains> ExecFolder::remove()
{
    _over = true;
    auto remains = emptyFolder(_folder.get(), {});
    if (remains.empty() && ::rmdir(_path.c_str()) != 0)
        remains.push_back({".", std::strerror(errno)});
    return remains;
}

} // namespace agent
