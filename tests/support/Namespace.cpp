#include "tests/support/Namespace.h"

#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <unistd.h>
#include <vector>

namespace agent::test
{

MountNamespace::MountNamespace()
    : _before(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)),
      _own(_before >= 0 && ::unshare(CLONE_NEWNS) == 0)
{
    if (_own)
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

MountNamespace::~MountNamespace()
{
    if (_own && ::setns(_before, CLONE_NEWNS) != 0)
        std::cerr << "this test stays in its own view of the mounts\n";
    ::close(_before);
}

void withoutCgroups(const std::function<void()>& game)
{
    const MountNamespace mounts;
    std::vector<std::string> cgroups;
    std::ifstream lines("/proc/self/mountinfo");
    for (std::string line; std::getline(lines, line);)
        if (line.find(" - cgroup2 ") != std::string::npos)
        {
            std::string path = line;
            for (int field = 0; field < 4; ++field)
                path.erase(0, path.find(' ') + 1);
            cgroups.push_back(path.substr(0, path.find(' ')));
        }
    for (const auto& path : cgroups)
        if (!mounts.own() || ::umount2(path.c_str(), MNT_DETACH) != 0)
        {
            std::cout << " (skipped: cgroup2 can't be taken away) " << std::flush;
            return;
        }
    game();
}

} // namespace agent::test
