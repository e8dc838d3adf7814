// What the disk takes for the one sync between two stages.
//   bench-sync FOLDER N    prints the median in µs of N times: append 64 KiB to a file there, fdatasync
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

int main(int argc, char** argv)
{
    if (argc != 3)
        return 2;
    const std::string name = std::string(argv[1]) + "/synced";
    const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::vector<char> block(64UL * 1024, 'x');
    std::vector<long> times;
    for (int i = std::max(1, std::atoi(argv[2])); file >= 0 && i > 0; --i)
    {
        if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()))
            return 1;
        const auto begin = std::chrono::steady_clock::now();
        if (::fdatasync(file) != 0)
            return 1;
        times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - begin)
                            .count());
    }
    ::unlink(name.c_str());
    if (times.empty())
        return 1;
    std::sort(times.begin(), times.end());
    std::printf("%ld\n", times[times.size() / 2]);
}
