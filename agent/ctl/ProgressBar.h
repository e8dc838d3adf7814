#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace agent::ctl
{

/// A bar on standard error, where that is a terminal: how much of a download is done, and how fast it goes. It is gone with the object.
class ProgressBar
{
public:
    /// `bytes`: of all files together.
    explicit ProgressBar(std::int64_t bytes);
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// What is under way.
    void show(const std::string& name);

    /// `received`: false: they were there before.
    void add(std::int64_t bytes, bool received);

private:
    using Clock = std::chrono::steady_clock;

    void draw();

    const bool _drawn;
    const std::int64_t _all;
    const Clock::time_point _began = Clock::now();
    Clock::time_point _next;
    std::string _name;
    std::int64_t _done = 0;
    std::int64_t _received = 0;
};

} // namespace agent::ctl
