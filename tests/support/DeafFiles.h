#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

namespace agent::test
{

/// A file system that is asked for files and does not answer, as one on a network whose server is gone. Who asks
/// and is then killed sleeps in the kernel, state D, until release().
/// Source: fuse(4); fs/fuse/dev.c, request_wait_answer: a request that was read is waited for without end.
/// Owner: of the mount, which is to be in a MountNamespace. Ends with this process, however that ends.
class DeafFiles
{
public:
    explicit DeafFiles(const std::filesystem::path& folder);
    ~DeafFiles();
    DeafFiles(const DeafFiles&) = delete;
    DeafFiles& operator=(const DeafFiles&) = delete;

    /// Without /dev/fuse and the right to mount there is none.
    [[nodiscard]] bool mounted() const { return _mounted; }

    /// How many wait for an answer.
    [[nodiscard]] std::size_t waiting() const;

    /// Answers all that wait and all that come: there is no such file.
    void release();

private:
    void serve();
    void answer(std::uint64_t request, int error, const void* data = nullptr,
                std::size_t size = 0) const;

    std::filesystem::path _folder;
    int _device = -1;
    int _end = -1; ///< an eventfd
    bool _mounted = false;
    mutable std::mutex _mutex;
    std::vector<std::uint64_t> _waiting; // guarded by _mutex
    bool _answers = false;               // guarded by _mutex
    std::thread _thread;
};

} // namespace agent::test
