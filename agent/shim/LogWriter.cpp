#include "agent/shim/LogWriter.h"

#include "agent/model/SecretEncodings.h"
#include "agent/os/RegularFile.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{
namespace
{

constexpr std::size_t maxHeldBytes = 64UL * 1024;
constexpr std::chrono::milliseconds maxHeldTime{200};

/// The stage decides how much it writes there, and all of it stays in our memory.
constexpr std::uint64_t maxMaskFileBytes = 64UL * 1024;

} // namespace

LogWriter::LogWriter(const std::string& folder, std::int64_t maxBytes,
                     const std::vector<std::string>& secrets, std::string maskFile)
    : _file(folder, maxBytes),
      _output{.name = LogStream::Output, .masker = Masker(_secrets), .pending = {}, .since = {}},
      _errors{.name = LogStream::Errors, .masker = Masker(_secrets), .pending = {}, .since = {}},
      _maskPath(std::move(maskFile))
{
    for (const std::string& secret : secrets)
        if (secret.size() >= shortestSecret)
            _secrets.add(secret);
    if (!_maskPath.empty())
        _maskFile = createFile(_maskPath, O_RDONLY);
}

void LogWriter::take(LogStream name, std::string_view bytes)
{
    // The stage appends a secret before it prints it, so the file is looked at after the read.
    readMaskFile();
    Stream& stream = name == LogStream::Output ? _output : _errors;
    const bool held = !stream.pending.empty();
    _masked.clear();
    stream.masker.feed(bytes, _masked);

    std::size_t whole = _masked.wholeLines();
    const std::size_t begun = _masked.size() - whole + (whole == 0 ? stream.pending.size() : 0);
    if (begun >= maxHeldBytes)
        whole = _masked.size();
    if (whole > 0)
    {
        _shown.assign(1, stream.pending);
        _masked.view(0, whole, _shown);
        _file.append(stream.name, _shown);
        stream.pending.clear();
    }
    _masked.appendTo(stream.pending, whole);
    if (!held || whole > 0)
        stream.since = Clock::now();
}

void LogWriter::showPending(Stream& stream)
{
    _file.append(stream.name, stream.pending);
    stream.pending.clear();
}

std::optional<LogWriter::Clock::time_point> LogWriter::due() const
{
    std::optional<Clock::time_point> first;
    for (const Stream* stream : {&_output, &_errors})
        if (!stream->pending.empty())
            first = std::min(first.value_or(Clock::time_point::max()), stream->since + maxHeldTime);
    return first;
}

void LogWriter::showDue()
{
    const Clock::time_point now = Clock::now();
    for (Stream* stream : {&_output, &_errors})
        if (!stream->pending.empty() && stream->since + maxHeldTime <= now)
            showPending(*stream);
}

void LogWriter::finish()
{
    readMaskFile();
    for (Stream* stream : {&_output, &_errors})
    {
        stream->masker.flush(stream->pending);
        showPending(*stream);
    }
    _file.finish();
    if (_maskFile.valid())
        ::unlink(_maskPath.c_str());
}

void LogWriter::addSecret(const std::string& secret)
{
    if (secret.size() >= shortestSecret)
        _secrets.add(secret);
    else if (!secret.empty())
        _file.append(LogStream::Shim,
                     "[stage-agent: a line of $STAGE_MASK is too short to be masked]\n");
}

void LogWriter::readMaskFile()
{
    struct stat info = {};
    if (!_maskFile.valid() || ::fstat(_maskFile.get(), &info) != 0)
        return;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    char buffer[4096];
    while (_maskFileRead < std::min(size, maxMaskFileBytes))
    {
        const ssize_t n =
            ::pread(_maskFile.get(), buffer, sizeof buffer, static_cast<off_t>(_maskFileRead));
        if (n <= 0)
            return;
        _maskFileRead += static_cast<std::uint64_t>(n);
        std::string_view rest(buffer, static_cast<std::size_t>(n));
        for (std::size_t end = rest.find('\n'); end != std::string_view::npos;
             end = rest.find('\n'))
        {
            _maskLine.append(rest.substr(0, end));
            rest.remove_prefix(end + 1);
            addSecret(_maskLine);
            _maskLine.clear();
        }
        // Its end may never come: better a word too much is masked than a secret shown.
        _maskLine.append(rest);
        if (_maskLine.size() >= shortestSecret && _maskLine.size() <= sizeof buffer)
            addSecret(_maskLine);
    }
    if (size > maxMaskFileBytes && !_maskFileFull)
    {
        _maskFileFull = true;
        _file.append(LogStream::Shim,
                     "[stage-agent: the file of $STAGE_MASK is over 64 KiB; what was added last "
                     "is not masked]\n");
    }
}

} // namespace agent
