#include "agent/shim/Command.h"

#include "agent/shim/Bubblewrap.h"
#include "agent/wire/CacheFiles.h"
#include "agent/wire/NeededFiles.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// The largest that every user may have; a command that writes much blocks less often.
constexpr int pipeBytes = 1024 * 1024;

struct Pipe
{
    FileDescriptor readEnd;
    FileDescriptor writeEnd;
};

bool open(Pipe& pipe)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pipe.readEnd = FileDescriptor(ends[0]);
    pipe.writeEnd = FileDescriptor(ends[1]);
    ::fcntl(ends[0], F_SETPIPE_SZ, pipeBytes);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

Invocation invocationOf(const Order& order, std::map<std::string, std::string> env)
{
    env.insert(order.env.begin(), order.env.end());
    Invocation invocation{.argv = order.argv,
                          .env = {},
                          .cwd = order.cwd,
                          .umask = order.umask,
                          .prepares = order.env.contains(caches::planVariable) ||
                                      order.env.contains(needs::planVariable)};
    for (const auto& [name, value] : env)
        invocation.env.push_back(std::string(name).append("=").append(value));
    return invocation;
}

/// Returns what executes a command in the sandbox as a JSON list of arguments.
std::string sandboxText(const Order& order, const std::string& folder)
{
    auto arguments = bubblewrapArguments(order, folder);
    arguments.insert(arguments.end(), {"--setenv", "HOME", order.sandbox->home});
    rapidjson::StringBuffer text;
    rapidjson::Writer writer(text);
    writer.StartArray();
    for (const std::string& argument : arguments)
        writer.String(argument.data(), static_cast<rapidjson::SizeType>(argument.size()));
    writer.EndArray();
    return {text.GetString(), text.GetSize()};
}

} // namespace

Command::Command(const Order& order, const std::string& folder,
                 const std::map<std::string, std::string>& secrets)
    : _kind(order.output)
{
    Invocation invocation = invocationOf(order, secrets);
    if (order.sandbox && !order.outside)
    {
        _sandbox.emplace(order, folder, invocation);
        _child = _sandbox->child();
        return;
    }
    try
    {
        if (order.sandbox)
            invocation.env.push_back("STAGE_AGENT_SANDBOX=" + sandboxText(order, folder));
    }
    catch (const std::runtime_error& error)
    {
        _failure = error.what();
    }
    _child = std::make_unique<ChildProcess>(std::move(invocation));
}

bool Command::start(int cgroup)
{
    Pipe output;
    Pipe errors;
    if (!_failure.empty())
        return false;
    const bool merged = _kind == StageOutput::Merged;
    if (!open(output) || (!merged && !open(errors)))
    {
        _failure = std::string("cannot make a pipe: ") + std::strerror(errno);
        return false;
    }
    const int ofErrors = (merged ? output : errors).writeEnd.get();
    const bool started =
        _sandbox ? _sandbox->start(*_child, output.writeEnd.get(), ofErrors, cgroup)
                 : _child->start({.output = output.writeEnd.get(), .errors = ofErrors}, cgroup);
    _output = std::move(output.readEnd);
    _errors = std::move(errors.readEnd);
    return started;
}

void Command::stopping() const
{
    if (_sandbox)
        _sandbox->stopping();
}

int Command::status(int ofChild)
{
    return _sandbox ? _sandbox->status(ofChild) : ofChild;
}

std::string Command::failure()
{
    if (_failure.empty())
        _failure = _child->failure();
    if (_failure.empty() && _sandbox)
        _failure = _sandbox->failure();
    return _failure;
}

} // namespace agent
