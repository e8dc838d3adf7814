#include "agent/run/LaunchPreparer.h"

#include "agent/process/AttemptFolder.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/prctl.h>

namespace agent
{

namespace
{

PreparedResult prepare(const Launcher& launcher, const std::filesystem::path& folder,
                       const Order& order, const SecretFolder& secrets)
{
    Secrets values;
    try
    {
        values = secrets.ofStage(order.secrets, order.masks);
    }
    catch (const std::runtime_error& error)
    {
        return LaunchRefusal{.cause = Cause::PluginError, .message = error.what()};
    }
    try
    {
        std::filesystem::create_directories(order.cwd);
        auto launch = launcher.prepare(folder, order, values);
        launcher.arm(launch);
        return launch;
    }
    catch (const std::exception& error)
    {
        return refusalOf(error);
    }
}

} // namespace

LaunchRefusal refusalOf(const std::exception& error)
{
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    const bool full = system && (system->code() == std::errc::no_space_on_device ||
                                 system->code().value() == EDQUOT);
    return {.cause = full ? Cause::DiskFull : Cause::SpawnError, .message = error.what()};
}

LaunchPreparer::~LaunchPreparer()
{
    {
        const std::lock_guard lock(_mutex);
        _ending = true;
    }
    _changed.notify_one();
    if (_thread.joinable())
        _thread.join();
}

void LaunchPreparer::begin(const std::filesystem::path& folder, const Order& order,
                           const SecretFolder& secrets)
{
    Task task([this, folder, order, secrets]
              { return prepare(_launcher, folder, order, secrets); });
    _begun.insert_or_assign(order.stageId, task.get_future());
    {
        const std::lock_guard lock(_mutex);
        _tasks.push_back(std::move(task));
    }
    startThread();
    _changed.notify_one();
}

void LaunchPreparer::expect(const std::filesystem::path& folder)
{
    {
        const std::lock_guard lock(_mutex);
        _expected.push_back(folder);
    }
    startThread();
    _changed.notify_one();
}

void LaunchPreparer::startThread()
{
    if (!_thread.joinable())
        _thread = std::thread([this] { work(); });
}

PreparedResult LaunchPreparer::take(const std::filesystem::path& folder, const Order& order,
                                    const SecretFolder& secrets)
{
    if (!_begun.contains(order.stageId))
        begin(folder, order, secrets);
    return _begun.extract(order.stageId).mapped().get();
}

void LaunchPreparer::work()
{
    ::prctl(PR_SET_NAME, "prepare"); // else it would be called as who started it: the engine
    std::unique_lock lock(_mutex);
    while (true)
    {
        _changed.wait(lock, [this] { return _ending || !_tasks.empty() || !_expected.empty(); });
        if (_ending)
            return;
        if (_tasks.empty())
        {
            const AttemptFolder folder(_expected.front());
            _expected.pop_front();
            lock.unlock();
            folder.makeBelowRun();
            lock.lock();
            continue;
        }
        Task task = std::move(_tasks.front());
        _tasks.pop_front();
        lock.unlock();
        task();
        task =
            Task(); // one that nobody wants any more gives up its lock before the next one is made
        lock.lock();
    }
}

} // namespace agent
