#pragma once

#include "agent/ctl/LogFilter.h"
#include "agent/ctl/Terminal.h"
#include "agent/model/Timestamp.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent::ctl
{

/// A stage of a followed run.
struct FollowedStage
{
    std::string id;
    std::string type;
    std::string status;
    std::string updatedAt;
    std::optional<TimeMs> startedAt;
    std::optional<std::int64_t> duration; ///< seconds
    std::int64_t attempt = 0;
    std::string outcome = {}; ///< why it ended, for display: `EXIT 2: make: no rule`
    std::string name = {};    ///< empty if it equals the type
    std::string skipped = {}; ///< why it never runs; empty: it may
    bool past = false;        ///< describes an attempt that ended without ending the stage
};

/// The run that is followed.
struct FollowedRun
{
    std::string id;
    std::string status;
    bool ended = false; ///< a failed one may still be at its last stages
    std::optional<TimeMs> startedAt;
    std::optional<std::int64_t> duration; ///< seconds
    std::string waits; ///< what keeps it from going on, for display; empty if nothing does
    std::vector<FollowedStage> stages;
};

/// Shows a run in progress. Threads: one.
class FollowView
{
public:
    virtual ~FollowView() = default;

    /// Takes bytes of a stage's log, as written; always before the change that ends the attempt.
    virtual void log(const FollowedStage& stage, std::string_view bytes) = 0;

    /// Called when the stage's status or attempt changed, or an attempt ended (`past`).
    virtual void changed(const FollowedStage& stage) = 0;

    /// Shows a notice, once, in one line.
    virtual void notify(const std::string& line) = 0;

    /// Called after all changes of one poll; `last` when the run has ended.
    virtual void refresh(const FollowedRun& run, bool last) = 0;
};

/// For a pipe or file: a line per change, log lines prefixed by the stage's name.
class PlainView: public FollowView
{
public:
    using Write = std::function<void(std::string_view)>;
    explicit PlainView(Write write) : _write(std::move(write)) {}

    void log(const FollowedStage& stage, std::string_view bytes) override;
    void changed(const FollowedStage& stage) override;
    void notify(const std::string& line) override;
    void refresh(const FollowedRun& run, bool last) override;

private:
    struct Lines
    {
        LogFilter filter{LogFilter::Colours::Keep, LogFilter::Returns::Keep};
        std::string partial;
    };
    void writeLines(const FollowedStage& stage, Lines& lines, bool flush);

    Write _write;
    std::map<std::string, Lines> _lines; ///< by stage id
    std::string _waits;                  ///< at the last poll
    std::string _told;                   ///< what of that was told
};

/// For a terminal: the stages and their times, redrawn in place, above the last lines of the current
/// stage's log.
class LiveView: public FollowView
{
public:
    explicit LiveView(const Terminal& terminal);

    /// Resets the terminal after an interrupted drawing.
    static constexpr const char* reset = "\x1b[0m\x1b[?25h\x1b[?2026l";

    void log(const FollowedStage& stage, std::string_view bytes) override;
    void changed(const FollowedStage& stage) override;
    void notify(const std::string& line) override;
    void refresh(const FollowedRun& run, bool last) override;

private:
    void append(const std::string& text);
    [[nodiscard]] std::string stageLines(const FollowedRun& run, std::size_t rows) const;
    void draw(const std::vector<std::string>& lines);

    Terminal _terminal;
    LogFilter::Colours _colours;
    LogFilter _filter;
    std::string _logStage; ///< the id of the stage whose log is shown
    std::int64_t _logAttempt = 0;
    std::string _logTitle;
    std::deque<std::string> _logLines; ///< the last one may still grow
    std::string _notice;
    std::vector<std::size_t> _drawn; ///< the columns of each line on the screen
};

} // namespace agent::ctl
