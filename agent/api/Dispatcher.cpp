#include "agent/api/Dispatcher.h"

#include "agent/api/Answer.h"
#include "agent/model/Id.h"

#include <Poco/Exception.h>

namespace agent
{

Dispatcher::Dispatcher(DispatcherOptions options, Handler handler, std::function<void()> wake)
    : _options(std::move(options)),
      _handler(std::move(handler)),
      _wake(std::move(wake)),
      _short("http-short", _options.shortThreads, _options.queued),
      _long("http-long", _options.longThreads, _options.queued)
{
}

std::optional<Response> Dispatcher::atOnce(Request& request) const
{
    if (!_handler.atOnce)
        return std::nullopt;
    return ask(_handler.atOnce, request);
}

bool Dispatcher::answer(int connection, Request request)
{
    const bool isLong = _handler.takesLong && _handler.takesLong(request);
    const auto shared = std::make_shared<Request>(std::move(request));
    return (isLong ? _long : _short)
        .add({.connection = connection,
              .run = [this, connection, shared]
              {
                  // Not by the loop: it may have to wait for a directory server.
                  if (shared->peer.door == Peer::Door::Unix)
                      shared->actor = shared->peer.user = _accounts.of(shared->peer.uid);
                  give({.connection = connection, .response = ask(_handler.answer, *shared)});
              }});
}

void Dispatcher::nextPage(int connection, std::shared_ptr<Response::Pages> pages,
                          const std::string& target)
{
    _long.goOn({.connection = connection,
                .run = [this, connection, pages = std::move(pages), target]
                {
                    Done done{.connection = connection};
                    std::string failure;
                    try
                    {
                        done.last = !pages->next(done.page);
                    }
                    catch (const std::exception& error)
                    {
                        failure = error.what();
                        done.failed = true;
                    }
                    if (done.failed && _options.logError)
                        _options.logError("the answer to " + target +
                                          " could not be completed: " + failure);
                    give(std::move(done));
                }});
}

bool Dispatcher::ping(std::function<void()> work, std::chrono::milliseconds timeout)
{
    const auto answered = std::make_shared<std::promise<void>>();
    _short.goOn({.run = [this, answered, work = std::move(work)]
                 {
                     try
                     {
                         work();
                     }
                     catch (const std::exception&)
                     {
                         // That it can't be done is an answer too.
                     }
                     give({.ping = answered});
                 }});
    return answered->get_future().wait_for(timeout) == std::future_status::ready;
}

/// Never throws: what a handler throws becomes an answer here and nowhere else.
std::optional<Response> Dispatcher::ask(const Question& question, Request& request) const
{
    std::string failure;
    try
    {
        return question(request);
    }
    catch (const Refusal& refusal)
    {
        return answerTo(refusal);
    }
    catch (const Poco::Exception& error)
    {
        failure = error.displayText();
    }
    catch (const std::exception& error)
    {
        failure = error.what();
    }
    catch (...)
    {
        failure = "unknown exception";
    }
    const std::string id = newId();
    if (_options.logError)
        _options.logError("internal error " + id + ": " + request.method + " " + request.path +
                          ": " + failure);
    return internalError(id);
}

void Dispatcher::give(Done done)
{
    {
        const std::lock_guard lock(_mutex);
        _done.push_back(std::move(done));
    }
    _wake();
}

std::vector<Dispatcher::Done> Dispatcher::takeDone()
{
    const std::lock_guard lock(_mutex);
    return std::exchange(_done, {});
}

std::vector<int> Dispatcher::dismiss()
{
    std::vector<int> connections;
    for (auto* pool : {&_short, &_long})
        for (const auto& task : pool->dismiss())
            connections.push_back(task.connection);
    return connections;
}

void Dispatcher::join()
{
    _short.join();
    _long.join();
}

} // namespace agent
