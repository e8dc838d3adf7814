#include "agent/ctl/FollowView.h"

#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <utility>

namespace agent::ctl
{

namespace
{

// A line without an end is shown in pieces of this size, so that it can't fill the memory.
constexpr std::size_t longestLine = 65536;
constexpr std::size_t keptLines = 100; // more than any terminal shows beside the stages
constexpr std::size_t mostLogLines = 15;
constexpr std::size_t tabColumns = 8;

std::string elapsed(const FollowedStage& stage)
{
    if (stage.duration)
        return durationText(*stage.duration);
    if (!stage.startedAt || stage.status != "IN_PROGRESS")
        return "";
    return durationText((nowMs() - *stage.startedAt) / 1000);
}

std::string runLine(const FollowedRun& run)
{
    const bool running = !run.duration && run.startedAt;
    const std::int64_t seconds =
        running ? (nowMs() - *run.startedAt) / 1000 : run.duration.value_or(0);
    return running || run.duration ? "  " + durationText(seconds) : "";
}

std::string withoutTabs(std::string_view line)
{
    std::string out;
    std::size_t column = 0;
    for (const char c : line)
    {
        const std::size_t blanks = c == '\t' ? tabColumns - column % tabColumns : 0;
        if (blanks > 0)
            out.append(blanks, ' ');
        else
            out += c;
        column += std::max<std::size_t>(blanks, 1);
    }
    return out;
}

} // namespace

void PlainView::log(const FollowedStage& stage, std::string_view bytes)
{
    Lines& lines = _lines[stage.id];
    lines.partial += lines.filter.filter(bytes);
    writeLines(stage, lines, false);
}

void PlainView::writeLines(const FollowedStage& stage, Lines& lines, bool flush)
{
    std::string out;
    std::size_t pos = 0;
    while (pos < lines.partial.size())
    {
        const std::size_t end = lines.partial.find('\n', pos);
        if (end == std::string::npos && !flush && lines.partial.size() - pos < longestLine)
            break;
        const std::string line = lines.partial.substr(pos, end - pos);
        out += visible(stage.type) + " | " + line;
        // A colour must not run on into the next line's prefix.
        const bool coloured = line.rfind('\x1b') != std::string::npos;
        out += coloured && line.substr(line.rfind('\x1b')) != "\x1b[0m" ? "\x1b[0m\n" : "\n";
        pos = end == std::string::npos ? lines.partial.size() : end + 1;
    }
    lines.partial.erase(0, pos);
    if (!out.empty())
        _write(out);
}

void PlainView::changed(const FollowedStage& stage)
{
    if (const auto found = _lines.find(stage.id); found != _lines.end())
    {
        found->second.partial += found->second.filter.finish();
        writeLines(stage, found->second, true);
    }
    std::string line = clockTime(nowMs()) + " " + stage.type + " " + stage.status;
    if (stage.duration)
        line += " in " + durationText(*stage.duration);
    if (!stage.outcome.empty())
        line += " (" + stage.outcome + ")";
    if (stage.attempt > 1)
        line += ", attempt " + std::to_string(stage.attempt);
    _write(visible(line) + "\n");
}

void PlainView::say(const std::string& line)
{
    note(line);
}

void PlainView::looked(const FollowedRun& run, bool last)
{
    if (last)
        _write(visible(clockTime(nowMs()) + " run " + run.status +
                       (run.duration ? " in " + durationText(*run.duration) : "")) +
               "\n");
}

void LiveView::take(const std::string& text)
{
    std::size_t pos = 0;
    while (pos < text.size())
    {
        const std::size_t end = text.find('\n', pos);
        if (_logLines.empty())
            _logLines.emplace_back();
        std::string& line = _logLines.back();
        // What no terminal shows of a line is not kept.
        if (line.size() < longestLine)
            line += text.substr(pos, end - pos);
        if (end == std::string::npos)
            return;
        _logLines.emplace_back();
        if (_logLines.size() > keptLines)
            _logLines.pop_front();
        pos = end + 1;
    }
}

void LiveView::log(const FollowedStage& stage, std::string_view bytes)
{
    if (_logStage != stage.id || _logAttempt != stage.attempt)
    {
        _logStage = stage.id;
        _logAttempt = stage.attempt;
        _logTitle = visible(stage.type);
        _logLines.clear();
        _filter = LogFilter(LogFilter::Colours::Drop);
    }
    take(_filter.filter(bytes));
}

void LiveView::changed(const FollowedStage& stage)
{
    if (stage.id == _logStage)
        take(_filter.finish());
}

void LiveView::say(const std::string& line)
{
    _said = visible(line);
}

std::string LiveView::stageLines(const FollowedRun& run, std::size_t rows) const
{
    Table table({"STAGE", "STATUS", "TIME", ""});
    std::size_t current = 0;
    for (std::size_t i = 0; i < run.stages.size(); ++i)
        if (run.stages[i].status != "IDLE")
            current = i;
    // Where not all fit: the current one with those around it.
    std::size_t first = 0;
    if (run.stages.size() > rows)
        first = std::min(current > rows / 2 ? current - rows / 2 : 0, run.stages.size() - rows);
    for (std::size_t i = first; i < run.stages.size() && i < first + rows; ++i)
    {
        const FollowedStage& stage = run.stages[i];
        const std::string attempt =
            stage.attempt > 1 ? "attempt " + std::to_string(stage.attempt) : "";
        table.add(
            {stage.type, stage.status, elapsed(stage),
             attempt + (attempt.empty() || stage.outcome.empty() ? "" : ", ") + stage.outcome});
    }
    return table.render(_terminal);
}

void LiveView::looked(const FollowedRun& run, bool last)
{
    const Terminal now = Terminal::ofOutput();
    _terminal.width = now.width;
    _terminal.height = now.height;
    const std::size_t height = std::max<std::size_t>(_terminal.height, 8);
    const std::size_t width = std::max<std::size_t>(_terminal.width, 20);

    std::string text = "run " + visible(run.id.substr(0, 8)) + "  " +
                       coloured(_terminal, run.status, visible(run.status)) + runLine(run) + "\n";
    text += stageLines(run, height - 6);
    std::size_t used = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 2;
    if (!_said.empty() && !last)
    {
        text += clip(_said, width) + "\n";
        ++used;
    }
    // The end of a run that went well needs no log; that of a failure is why one looks.
    const bool blank = !_logLines.empty() && _logLines.back().empty();
    const std::size_t there = _logLines.size() - (blank ? 1 : 0);
    if (there > 0 && (!last || run.status == "FAILURE") && height > used + 1)
    {
        text += clip("-- log of " + _logTitle + " --", width) + "\n";
        const std::size_t shown = std::min({there, mostLogLines, height - used - 1});
        for (std::size_t i = there - shown; i < there; ++i)
            text += clip(withoutTabs(_logLines[i]), width) + "\n";
    }

    std::string out = "\r";
    if (_drawn > 0)
        out += "\x1b[" + std::to_string(_drawn) + "A";
    out += "\x1b[J" + text;
    _drawn = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    writeOut(out);
}

} // namespace agent::ctl
