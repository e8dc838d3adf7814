#pragma once

#include "agent/model/Report.h"
#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/store/RunOutlook.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

struct Batch;
class RunSpecs;

/// A change that a report tells of.
struct ReportFacts
{
    const Report& report; ///< all but its body
    const Run& run;
    const std::optional<RunOutlook::FailedStage>& failedStage; ///< of the run
    const RunOutlook::Results& results;                        ///< of the run
    const Stage* stage = nullptr; ///< that changed; null: the run itself did
    const std::string& actor;
    const std::string& reason;                  ///< masked
    const std::string& repository;              ///< of the run's pipeline; empty: none
    const std::vector<Stage>* stages = nullptr; ///< all of the run; null: they are not wanted
};

/// Who wants reports. Threads: any.
class Subscriptions
{
public:
    using List = std::vector<Subscription>;

    void set(List list);
    [[nodiscard]] std::shared_ptr<const List> current() const;

private:
    mutable std::mutex _mutex;
    std::shared_ptr<const List> _list = std::make_shared<const List>(); // guarded by _mutex
};

/// How reports are made.
struct ReportOptions
{
    const Subscriptions* subscriptions = nullptr; ///< null: nobody ever wants one
    std::function<std::string(const ReportFacts&)> body;
};

/// Writes a report of each change into its own transaction, for each target that wants it. Without a target nothing
/// is read or written. Threads: the engine's.
class Reports
{
public:
    Reports(const RunSpecs& specs, const ReportOptions& options) : _specs(specs), _options(options)
    {
    }

    /// `event`: runChanged or runEnded. `reason`: masked.
    void ofRun(Batch& batch, const char* event, const Run& run, const std::string& actor,
               const std::string& reason);

    /// The stage changed. Its run is read from the record. `began`: an attempt of it begins now.
    void ofStage(Batch& batch, const Stage& stage, bool began, const std::string& actor,
                 const std::string& reason);

private:
    [[nodiscard]] std::shared_ptr<const Subscriptions::List> wanted() const;
    void write(Batch& batch, const Subscriptions::List& list, const char* event, const Run& run,
               const Stage* stage, const std::string& actor, const std::string& reason);

    const RunSpecs& _specs;
    const ReportOptions& _options;
};

} // namespace agent
