#include "agent/api/WorkerPool.h"

#include <system_error>
#include <utility>

#include <sys/prctl.h>

namespace agent
{

WorkerPool::WorkerPool(std::string name, int threads, int queued)
    : _name(std::move(name)),
      _most(static_cast<std::size_t>(threads)),
      _queued(static_cast<std::size_t>(queued))
{
}

WorkerPool::~WorkerPool()
{
    dismiss();
    join();
}

bool WorkerPool::add(Task task)
{
    const std::lock_guard lock(_mutex);
    if (_stopping || _running + _waiting.size() >= _most + _queued)
        return false;
    push(std::move(task));
    return !_threads.empty();
}

void WorkerPool::goOn(Task task)
{
    const std::lock_guard lock(_mutex);
    if (!_stopping)
        push(std::move(task));
}

void WorkerPool::push(Task task)
{
    _waiting.push_back(std::move(task));
    if (_idle < _waiting.size() && _threads.size() < _most)
    {
        try
        {
            _threads.emplace_back([this] { work(); });
        }
        catch (const std::system_error&)
        {
            // The threads that are there do it; without one the task is refused.
            if (_threads.empty())
                _waiting.clear();
        }
    }
    _changed.notify_one();
}

void WorkerPool::work()
{
    ::prctl(PR_SET_NAME, _name.c_str());
    std::unique_lock lock(_mutex);
    while (true)
    {
        ++_idle;
        _changed.wait(lock, [this] { return _stopping || !_waiting.empty(); });
        --_idle;
        if (_waiting.empty())
            return;
        Task task = std::move(_waiting.front());
        _waiting.pop_front();
        ++_running;
        lock.unlock();
        task.run();
        task.run = nullptr; // what it holds ends before it counts as done
        lock.lock();
        --_running;
    }
}

std::vector<WorkerPool::Task> WorkerPool::dismiss()
{
    const std::lock_guard lock(_mutex);
    _stopping = true;
    std::vector<Task> dismissed(std::make_move_iterator(_waiting.begin()),
                                std::make_move_iterator(_waiting.end()));
    _waiting.clear();
    _changed.notify_all();
    return dismissed;
}

void WorkerPool::join()
{
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(_mutex);
        threads.swap(_threads);
    }
    for (auto& thread : threads)
        thread.join();
}

} // namespace agent
