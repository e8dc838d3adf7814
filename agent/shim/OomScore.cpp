#include "agent/shim/OomScore.h"

#include "agent/os/Files.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

OomScore::OomScore()
    : _file(::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC)),
      _own(readAll(_file.get()).value_or("0"))
{
    if (!_own.empty() && _own.back() == '\n')
        _own.pop_back();
}

OomScore& OomScore::ours()
{
    static OomScore score;
    return score;
}

void OomScore::set(const std::string& score) const
{
    const int before = errno; // of the clone, which is what the caller is to see
    if (_own != "0" && ::pwrite(_file.get(), score.data(), score.size(), 0) < 0)
        errno = before;
}

} // namespace agent
