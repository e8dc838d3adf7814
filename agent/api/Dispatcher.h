#pragma once

#include "agent/api/AccountNames.h"
#include "agent/api/Http.h"
#include "agent/api/WorkerPool.h"

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

struct DispatcherOptions
{
    int shortThreads = 0; ///< for requests that wait for nothing but the store
    int longThreads = 0;  ///< for those that may wait for processes, long logs, or the engine
    int queued = 0;       ///< requests that wait for a thread of either kind
    std::function<void(const std::string&)> logError = {};
};

/// Takes whole requests to the handler, on threads where one that waits holds up no short one, and
/// keeps what comes of them until the loop takes it.
/// Threads: the loop's, but for what says otherwise.
class Dispatcher
{
public:
    /// An answer, or the next page of one.
    struct Done
    {
        int connection = -1;
        std::optional<Response> response;
        std::string page;
        bool last = false;
        bool failed = false;                           ///< the page could not be made
        std::shared_ptr<std::promise<void>> ping = {}; ///< no answer: of ping()
    };

    /// `wake` is called by workers when takeDone() has something.
    Dispatcher(DispatcherOptions options, Handler handler, std::function<void()> wake);

    /// The answer when it is there already: nothing waits for a thread then.
    [[nodiscard]] std::optional<Response> atOnce(Request& request) const;

    /// Returns false when too many wait.
    bool answer(int connection, Request request);
    void nextPage(int connection, std::shared_ptr<Response::Pages> pages,
                  const std::string& target);

    /// Runs `work` on a thread for short requests, and takes its end to the loop, as with a request. Returns
    /// whether the loop took it within `timeout`. Threads: any but the loop's.
    bool ping(std::function<void()> work, std::chrono::milliseconds timeout);

    std::vector<Done> takeDone();

    /// Returns the connections whose requests were not begun, and now never will be.
    std::vector<int> dismiss();

    /// Blocks until the running handlers have ended. Threads: the owner's.
    void join();

private:
    using Question = std::function<std::optional<Response>(Request&)>;

    std::optional<Response> ask(const Question& question, Request& request) const;
    void give(Done done);

    const DispatcherOptions _options;
    const Handler _handler;
    const std::function<void()> _wake;
    std::mutex _mutex;
    std::vector<Done> _done; // guarded by _mutex
    AccountNames _accounts;
    WorkerPool _short;
    WorkerPool _long;
};

} // namespace agent
