// What the host itself takes to start a program and see it end: the floor under every stage.
//   bench-spawn N PROGRAM [ARGUMENT…]    prints the median in µs of N times posix_spawn and waitpid of the program
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <spawn.h>
#include <sys/wait.h>
#include <vector>

extern char** environ; // NOLINT: of unistd.h

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    const int count = std::max(1, std::atoi(argv[1]));
    std::vector<long> times;
    for (int i = 0; i < count; ++i)
    {
        const auto begin = std::chrono::steady_clock::now();
        pid_t pid = 0;
        if (::posix_spawnp(&pid, argv[2], nullptr, nullptr, argv + 2, environ) != 0 ||
            ::waitpid(pid, nullptr, 0) != pid)
            return 1;
        times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - begin)
                            .count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%ld\n", times[times.size() / 2]);
}
