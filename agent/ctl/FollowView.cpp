#include "agent/ctl/FollowView.h"

#include "agent/ctl/Cells.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace agent::ctl
{

namespace
{

// An endless line is shown in pieces of this size, which bounds the memory.
constexpr std::size_t longestLine = 65536;
// Bounded: lines that a shrinking terminal can't hold stay in its scrollback.
constexpr std::size_t maxLogLines = 20;
constexpr std::size_t tabColumns = 8;

std::string elapsed(const FollowedStage& stage)
{
    if (stage.duration)
        return durationText(*stage.duration);
    if (!stage.startedAt || stage.status != "IN_PROGRESS")
        return "";
    return durationText((nowMs() - *stage.startedAt) / 1000);
}

/// Returns `BUILD`, or `OTHER (lint)` if it has a name.
std::string titleOf(const FollowedStage& stage)
{
    return stage.name.empty() ? stage.type : stage.type + " (" + stage.name + ")";
}

std::string runLine(const FollowedRun& run)
{
    const bool running = !run.duration && run.startedAt;
    const std::int64_t seconds =
        running ? (nowMs() - *run.startedAt) / 1000 : run.duration.value_or(0);
    return running || run.duration ? "  " + durationText(seconds) : "";
}

/// Returns the line cut to `width` columns, with tabs expanded; a cut line ends in `…`. Colours take no
/// columns and are reset at the end.
std::string fitted(std::string_view line, std::size_t width)
{
    std::string out;
    std::size_t used = 0;
    std::size_t beforeMark = 0; // bytes of `out` that leave a column for `…`
    bool coloured = false;
    for (std::size_t pos = 0; pos < line.size();)
    {
        const bool tab = line[pos] == '\t';
        const bool colour = line[pos] == '\x1b'; // the filter lets no other sequence pass
        const std::size_t size = colour ? std::min(line.find('m', pos), line.size() - 1) + 1 - pos
                                        : characterAt(line, pos).size;
        const std::string_view text = line.substr(pos, size);
        const std::size_t columns = colour ? 0
                                    : tab  ? tabColumns - used % tabColumns
                                           : displayWidth(text);
        if (used + columns > width)
        {
            out.resize(beforeMark);
            out += "…";
            break;
        }
        out += tab ? std::string(columns, ' ') : std::string(text);
        coloured = coloured || colour;
        used += columns;
        pos += size;
        if (used < width)
            beforeMark = out.size();
    }
    return coloured ? out + "\x1b[0m" : out;
}

std::size_t columnsOf(std::string_view line)
{
    LogFilter bare(LogFilter::Colours::Drop);
    return displayWidth(bare.filter(line) + bare.finish());
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
        const std::string line(seenLast(std::string_view(lines.partial).substr(pos, end - pos)));
        out += visible(titleOf(stage)) + " | " + line;
        // A colour must not extend to the next line's prefix.
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
    const std::string attempt = "attempt " + std::to_string(stage.attempt);
    std::string line = clockTime(nowMs()) + " " + titleOf(stage) + " " +
                       (stage.past ? attempt + " " : "") + stage.status;
    if (stage.duration)
        line += " in " + durationText(*stage.duration);
    if (!stage.outcome.empty())
        line += " (" + stage.outcome + ")";
    if (stage.status == "IDLE" && stage.attempt > 0 && stage.skipped.empty())
        line += ", waiting for attempt " + std::to_string(stage.attempt + 1);
    else if (stage.attempt > 1 && !stage.past)
        line += ", " + attempt;
    _write(visible(line) + "\n");
}

void PlainView::notify(const std::string& line)
{
    note(line);
}

void PlainView::refresh(const FollowedRun& run, bool last)
{
    // Told once, and only if it lasts: most runs get their slot at once.
    if (!run.waits.empty() && run.waits == _waits && run.waits != _told)
    {
        _told = run.waits;
        _write(visible(clockTime(nowMs()) + " run " + run.status + ", waits for " + run.waits) +
               "\n");
    }
    _waits = run.waits;
    if (last)
        _write(visible(clockTime(nowMs()) + " run " + run.status +
                       (run.duration ? " in " + durationText(*run.duration) : "")) +
               "\n");
}

LiveView::LiveView(const Terminal& terminal)
    : _terminal(terminal),
      _colours(terminal.colours ? LogFilter::Colours::Keep : LogFilter::Colours::Drop),
      _filter(_colours, LogFilter::Returns::Keep)
{
}

void LiveView::append(const std::string& text)
{
    std::size_t pos = 0;
    while (pos < text.size())
    {
        const std::size_t end = text.find('\n', pos);
        if (_logLines.empty())
            _logLines.emplace_back();
        std::string& line = _logLines.back();
        // The rest of a line longer than any terminal is dropped.
        if (line.size() < longestLine)
            line += text.substr(pos, end - pos);
        // Not before more has come: what is drawn over is seen until then.
        if (end == std::string::npos)
            return;
        line = seenLast(line);
        _logLines.emplace_back();
        if (_logLines.size() > maxLogLines + 1)
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
        _logTitle = visible(titleOf(stage));
        _logLines.clear();
        _filter = LogFilter(_colours, LogFilter::Returns::Keep);
    }
    append(_filter.filter(bytes));
}

void LiveView::changed(const FollowedStage& stage)
{
    _notice.clear();
    if (stage.id == _logStage)
        append(_filter.finish());
}

void LiveView::notify(const std::string& line)
{
    _notice = visible(line);
}

std::string LiveView::stageLines(const FollowedRun& run, std::size_t rows) const
{
    Table table({"STAGE", "STATUS", "TIME", ""});
    std::size_t current = 0;
    for (std::size_t i = 0; i < run.stages.size(); ++i)
        if (run.stages[i].status != "IDLE")
            current = i;
    // If not all fit: the current one and its neighbours.
    std::size_t first = 0;
    if (run.stages.size() > rows)
        first = std::min(current > rows / 2 ? current - rows / 2 : 0, run.stages.size() - rows);
    for (std::size_t i = first; i < run.stages.size() && i < first + rows; ++i)
    {
        const FollowedStage& stage = run.stages[i];
        const std::string attempt =
            stage.attempt > 1 ? "attempt " + std::to_string(stage.attempt) : "";
        table.add(
            {titleOf(stage), stage.status, elapsed(stage),
             attempt + (attempt.empty() || stage.outcome.empty() ? "" : ", ") + stage.outcome});
    }
    return table.render(_terminal);
}

void LiveView::refresh(const FollowedRun& run, bool last)
{
    const Terminal now = Terminal::ofOutput();
    _terminal.height = std::max<std::size_t>(now.height, 8);
    // Terminals differ in how they wrap after a full line.
    _terminal.width = std::max<std::size_t>(now.width, 20) - 1;

    std::istringstream stages(stageLines(run, _terminal.height - 6));
    std::vector<std::string> lines{"run " + visible(run.id.substr(0, 8)) + "  " +
                                   statusCell(_terminal, run.status) + runLine(run) +
                                   (run.waits.empty() ? "" : "  waits for " + visible(run.waits))};
    for (std::string line; std::getline(stages, line);)
        lines.push_back(line);
    if (!_notice.empty() && !last)
        lines.push_back(_notice);
    // At the end the log is shown only if the run failed.
    const bool blank = !_logLines.empty() && _logLines.back().empty();
    const std::size_t available = _logLines.size() - (blank ? 1 : 0);
    if (available > 0 && (!last || run.status == "FAILURE") && _terminal.height > lines.size() + 2)
    {
        lines.push_back("-- log of " + _logTitle + " --");
        const std::size_t shown =
            std::min({available, maxLogLines, _terminal.height - lines.size() - 1});
        lines.insert(lines.end(),
                     _logLines.begin() + static_cast<std::ptrdiff_t>(available - shown),
                     _logLines.begin() + static_cast<std::ptrdiff_t>(available));
    }
    draw(lines);
}

/// Overwrites the last drawing without clearing the screen first, which would flicker.
void LiveView::draw(const std::vector<std::string>& lines)
{
    // A terminal that became narrower has wrapped the longer lines.
    std::size_t rows = 0;
    for (const std::size_t columns : _drawn)
        rows += std::max<std::size_t>(1, (columns + _terminal.width) / (_terminal.width + 1));
    _drawn.clear();

    std::string out = "\x1b[?2026h\x1b[?25l\r";
    if (rows > 0)
        out += "\x1b[" + std::to_string(rows) + "A";
    for (const std::string& line : lines)
    {
        const std::string shown = fitted(seenLast(line), _terminal.width);
        _drawn.push_back(columnsOf(shown));
        out += shown + "\x1b[K\n";
    }
    writeOut(out + "\x1b[J" + reset);
}

} // namespace agent::ctl
