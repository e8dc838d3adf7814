#include "agent/shim/LogWriter.h"

#include "agent/model/SecretEncodings.h"

#include <algorithm>
#include <utility>

namespace agent
{
namespace
{

constexpr std::size_t maxHeldBytes = 64UL * 1024;
constexpr std::chrono::milliseconds maxHeldTime{200};

} // namespace

LogWriter::LogWriter(const std::string& folder, std::int64_t maxBytes,
                     const std::vector<std::string>& secrets, MaskFile maskFile)
    : _file(folder, maxBytes),
      _output{.name = LogStream::Output,
              .masker = Masker(_secrets),
              .pending = {},
              .since = {},
              .taken = {}},
      _errors{.name = LogStream::Errors,
              .masker = Masker(_secrets),
              .pending = {},
              .since = {},
              .taken = {}},
      _maskFile(std::move(maskFile))
{
    for (const std::string& secret : secrets)
        if (secret.size() >= shortestSecret)
            _secrets.add(secret);
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
    stream.taken = Clock::now();
    if (!held || whole > 0)
        stream.since = stream.taken;
}

void LogWriter::showPending(Stream& stream)
{
    _file.append(stream.name, stream.pending);
    stream.pending.clear();
}

std::optional<LogWriter::Clock::time_point> LogWriter::due() const
{
    std::optional<Clock::time_point> first;
    const auto add = [&first](Clock::time_point since)
    { first = std::min(first.value_or(Clock::time_point::max()), since + maxHeldTime); };
    for (const Stream* stream : {&_output, &_errors})
    {
        if (!stream->pending.empty())
            add(stream->since);
        if (stream->masker.showable())
            add(stream->taken);
    }
    return first;
}

void LogWriter::showDue()
{
    const Clock::time_point now = Clock::now();
    for (Stream* stream : {&_output, &_errors})
    {
        const bool quiet = stream->masker.showable() && stream->taken + maxHeldTime <= now;
        if (quiet)
            stream->masker.show(stream->pending);
        if (quiet || (!stream->pending.empty() && stream->since + maxHeldTime <= now))
            showPending(*stream);
    }
}

void LogWriter::finish(const std::string& lastLine)
{
    readMaskFile();
    for (Stream* stream : {&_output, &_errors})
    {
        stream->masker.flush(stream->pending);
        showPending(*stream);
    }
    if (!lastLine.empty())
    {
        std::string shown = _file.atLineStart() ? "" : "\n";
        Masker masker(_secrets); // the names of processes are the stage's words
        masker.feed(lastLine, shown);
        masker.flush(shown);
        _file.append(LogStream::Shim, shown);
    }
    _file.finish();
    _maskFile.remove();
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
    const MaskFile::Added added = _maskFile.takeAdded();
    for (const std::string& line : added.lines)
        addSecret(line);
    if (added.full)
        _file.append(LogStream::Shim,
                     "[stage-agent: the file of $STAGE_MASK is over 64 KiB; what was added last "
                     "is not masked]\n");
}

} // namespace agent
