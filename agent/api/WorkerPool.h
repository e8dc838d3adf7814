#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// Threads that do tasks in the order in which they came. They are started when they are needed, and
/// sleep without a timeout.
/// Threads: any.
class WorkerPool
{
public:
    struct Task
    {
        int connection = -1; ///< for whom
        std::function<void()> run;
    };

    /// At most `threads` tasks run and `queued` wait. `name` is the threads'.
    WorkerPool(std::string name, int threads, int queued);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Returns false, and does nothing, when too many tasks wait already.
    bool add(Task task);

    /// Goes on with something that was begun, however many wait.
    void goOn(Task task);

    /// Takes back the tasks that wait; later ones are not taken.
    std::vector<Task> dismiss();

    /// Blocks until running tasks have ended.
    void join();

private:
    void push(Task task);
    void work();

    const std::string _name;
    const std::size_t _most;
    const std::size_t _queued;
    std::mutex _mutex; // guards all below
    std::condition_variable _changed;
    std::deque<Task> _waiting;
    std::size_t _running = 0;
    std::size_t _idle = 0;
    bool _stopping = false;
    std::vector<std::thread> _threads;
};

} // namespace agent
