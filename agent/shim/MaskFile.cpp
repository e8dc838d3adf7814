#include "agent/shim/MaskFile.h"

#include "agent/model/SecretEncodings.h"
#include "agent/os/RegularFile.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// The stage decides how much it writes there, and all of it stays in our memory.
constexpr std::uint64_t mostBytes = 64UL * 1024;

} // namespace

MaskFile::MaskFile(std::string path) : _path(std::move(path))
{
    if (!_path.empty())
        _file = createFile(_path, O_RDONLY);
}

MaskFile::Added MaskFile::takeAdded()
{
    Added added;
    struct stat info = {};
    if (!_file.valid() || ::fstat(_file.get(), &info) != 0)
        return added;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    char buffer[4096];
    while (_read < std::min(size, mostBytes))
    {
        const ssize_t n = ::pread(_file.get(), buffer, sizeof buffer, static_cast<off_t>(_read));
        if (n <= 0)
            return added;
        _read += static_cast<std::uint64_t>(n);
        std::string_view rest(buffer, static_cast<std::size_t>(n));
        for (std::size_t end = rest.find('\n'); end != std::string_view::npos;
             end = rest.find('\n'))
        {
            _line.append(rest.substr(0, end));
            rest.remove_prefix(end + 1);
            added.lines.push_back(std::exchange(_line, {}));
        }
        _line.append(rest);
        if (_line.size() >= shortestSecret && _line.size() <= sizeof buffer)
            added.lines.push_back(_line);
    }
    added.full = size > mostBytes && !std::exchange(_full, true);
    return added;
}

void MaskFile::remove()
{
    if (_file.valid())
        ::unlink(_path.c_str());
}

} // namespace agent
