#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace agent::cache
{

/// Reads what CompressedFile wrote, on a thread of its own, so that files are made meanwhile. A few blocks are kept ahead.
class Decompressor
{
public:
    /// `file`: the archive; stays the caller's, and its position is not used.
    explicit Decompressor(int file);
    ~Decompressor();
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;

    /// Returns the next bytes, valid until the next call; empty: there are no more.
    /// Errors: std::runtime_error: the file is torn, has something behind its frame, or can't be read.
    std::string_view next();

private:
    using Block = std::vector<char>;

    void work(const std::stop_token& stop);
    void read(const std::stop_token& stop);
    bool put(Block block, const std::stop_token& stop);

    int _file;
    Block _current;
    std::mutex _mutex;
    std::condition_variable_any _changed;
    std::deque<Block> _blocks; // guarded by _mutex
    std::string _failure;      // guarded by _mutex
    bool _ended = false;       // guarded by _mutex
    std::jthread _thread;      // last: it uses all above
};

} // namespace agent::cache
