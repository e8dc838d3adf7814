#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace agent::test
{

/// The environment of a process, as NAME=VALUE\0…; `process` is its folder in /proc. Where its first thread
/// has ended, of one that goes on: /proc has nothing of the first then.
inline std::string environmentOf(const std::filesystem::path& process)
{
    const auto read = [](const std::filesystem::path& folder)
    {
        std::ifstream stream(folder / "environ", std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    };
    std::string environment = read(process);
    std::error_code gone;
    for (std::filesystem::directory_iterator thread(process / "task", gone), end;
         !gone && environment.empty() && thread != end; thread.increment(gone))
        environment = read(thread->path());
    return environment;
}

} // namespace agent::test
