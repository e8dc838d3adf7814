#include "agent/shim/Sandbox.h"

#include "agent/os/Files.h"
#include "agent/shim/Bubblewrap.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// Above every number that a descriptor has in the child.
constexpr int highDescriptor = 32;

/// bubblewrap's `128 + n`: its child, our first process, was killed by n.
constexpr int killedBy = 128;

FileDescriptor high(int fd)
{
    return FileDescriptor(::fcntl(fd, F_DUPFD_CLOEXEC, highDescriptor));
}

/// A pipe whose read end does not block, and is ours.
std::array<FileDescriptor, 2> makePipe()
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return {};
    std::array<FileDescriptor, 2> pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return pipe;
}

FileDescriptor memoryOf(const std::string& text)
{
    FileDescriptor memory(::memfd_create("stage-invocation", MFD_CLOEXEC));
    if (memory.valid() && !writeAll(memory.get(), text))
        memory.reset();
    return memory;
}

/// All that is there now; errno is EAGAIN where a writer still has the pipe.
std::string available(const FileDescriptor& pipe)
{
    std::string text;
    std::array<char, 4096> buffer{};
    errno = 0; // at its end, where nobody has it
    for (ssize_t n = 0; (n = ::read(pipe.get(), buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
}

} // namespace

Sandbox::Sandbox(const Order& order, const std::string& folder, const Invocation& invocation)
    : _invocation(sandboxed::goesOn + toText(invocation))
{
    try
    {
        _arguments = bubblewrapArguments(order, folder);
        const std::string program = "/proc/self/fd/" + std::to_string(sandboxed::program);
        for (const char* more : {"--as-pid-1", "--", program.c_str(), sandboxed::argument})
            _arguments.emplace_back(more);
    }
    catch (const std::runtime_error& error)
    {
        _failure = error.what();
    }
}

std::unique_ptr<ChildProcess> Sandbox::child()
{
    // Nothing of the stage's environment: it could choose what bubblewrap loads, outside of the sandbox.
    return std::make_unique<ChildProcess>(Invocation{.argv = _arguments, .env = {}, .cwd = "/"},
                                          ChildProcess::Signals::Ends);
}

bool Sandbox::start(ChildProcess& child, int output, int errors, int cgroup)
{
    if (!_failure.empty())
        return false;
    auto report = makePipe();
    auto words = makePipe();
    _memory = memoryOf(_invocation);
    const FileDescriptor program(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
    const FileDescriptor null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const std::array<FileDescriptor, 5> given{high(report[1].get()), high(_memory.get()),
                                              high(output), high(errors), high(program.get())};
    ChildProcess::Descriptors descriptors{.output = null.get(), .errors = words[1].get()};
    for (const FileDescriptor& descriptor : given)
    {
        if (!descriptor.valid())
        {
            _failure = std::string("no sandbox for the stage: ") + std::strerror(errno);
            return false;
        }
        descriptors.more.push_back(descriptor.get());
    }
    _report = std::move(report[0]);
    _words = std::move(words[0]);
    return child.start(descriptors, cgroup);
}

void Sandbox::stopping() const
{
    // It is memory: nothing can fail but a descriptor that is none.
    static_cast<void>(::pwrite(_memory.get(), &sandboxed::isToEnd, 1, 0) == 1);
}

std::optional<int> Sandbox::told()
{
    sandboxed::Report report;
    if (_status || !_report.valid())
        return _status;
    const std::string text = available(_report);
    if (text.size() >= sizeof report) // it was one write
    {
        std::memcpy(&report, text.data(), sizeof report);
        _status = report.status;
        (report.kind == sandboxed::Kind::Failed ? _failure : _leftBehind) =
            text.substr(sizeof report);
    }
    if (_status || errno != EAGAIN)
        _report.reset();
    return _status;
}

int Sandbox::status(int ofBubblewrap)
{
    if (!told())
        judge(ofBubblewrap);
    return *_status;
}

void Sandbox::judge(int ofBubblewrap)
{
    _status = ofBubblewrap;
    // Without a report the first process was killed, or there never was one.
    if (WIFSIGNALED(ofBubblewrap))
        return;
    const int code = WEXITSTATUS(ofBubblewrap);
    if (code > killedBy)
    {
        _status = code - killedBy; // as waitpid tells of a signal
        return;
    }
    std::string words = available(_words);
    words.erase(words.find_last_not_of('\n') + 1);
    for (char& c : words)
        if (c == '\n')
            c = ' ';
    _failure = "no sandbox for the stage: " +
               (words.empty() ? "bubblewrap exited with code " + std::to_string(code) : words);
}

} // namespace agent
