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

/// A stage as its followers see it.
struct FollowedStage
{
    std::string id;
    std::string type;
    std::string status;
    std::string updatedAt;
    std::optional<TimeMs> startedAt;
    std::optional<std::int64_t> duration; ///< seconds
    std::int64_t attempt = 0;
    std::string outcome = {}; ///< why it ended, for a person: `EXIT 2: make: no rule`
    std::string name = {};    ///< its own, if it has another than its type
    bool past = false;        ///< it tells an attempt that ended without ending the stage
};

/// The run that is followed.
struct FollowedRun
{
    std::string id;
    std::string status;
    std::optional<TimeMs> startedAt;
    std::optional<std::int64_t> duration; ///< seconds
    std::vector<FollowedStage> stages;
};

/// Shows a run while it goes on. Called from one thread.
class FollowView
{
public:
    virtual ~FollowView() = default;

    /// Bytes of a stage's log, as written; always before the change that ends its attempt.
    virtual void log(const FollowedStage& stage, std::string_view bytes) = 0;

    /// The stage's status or attempt changed, or an attempt ended (`past`).
    virtual void changed(const FollowedStage& stage) = 0;

    /// Something to say once, in one line.
    virtual void say(const std::string& line) = 0;

    /// All changes of one look at the run were told; `last` when it has ended.
    virtual void looked(const FollowedRun& run, bool last) = 0;
};

/// For a pipe or file: a line for each change, log lines behind their stage's name.
class PlainView: public FollowView
{
public:
    using Write = std::function<void(std::string_view)>;
    explicit PlainView(Write write) : _write(std::move(write)) {}

    void log(const FollowedStage& stage, std::string_view bytes) override;
    void changed(const FollowedStage& stage) override;
    void say(const std::string& line) override;
    void looked(const FollowedRun& run, bool last) override;

private:
    struct Lines
    {
        LogFilter filter{LogFilter::Colours::Keep};
        std::string partial;
    };
    void writeLines(const FollowedStage& stage, Lines& lines, bool flush);

    Write _write;
    std::map<std::string, Lines> _lines; ///< by stage id
};

/// For a terminal: the stages with their time, redrawn in place, above the end of the current stage's
/// log.
class LiveView: public FollowView
{
public:
    explicit LiveView(const Terminal& terminal);

    /// What a terminal needs when a drawing was interrupted.
    static constexpr const char* undo = "\x1b[0m\x1b[?25h\x1b[?2026l";

    void log(const FollowedStage& stage, std::string_view bytes) override;
    void changed(const FollowedStage& stage) override;
    void say(const std::string& line) override;
    void looked(const FollowedRun& run, bool last) override;

private:
    void take(const std::string& text);
    [[nodiscard]] std::string stageLines(const FollowedRun& run, std::size_t rows) const;
    void draw(const std::vector<std::string>& lines);

    Terminal _terminal;
    LogFilter::Colours _colours;
    LogFilter _filter;
    std::string _logStage; ///< id of the stage whose log is shown
    std::int64_t _logAttempt = 0;
    std::string _logTitle;
    std::deque<std::string> _logLines; ///< the last one may still grow
    std::string _said;
    std::vector<std::size_t> _drawn; ///< the columns of each line that stands there
};

} // namespace agent::ctl
