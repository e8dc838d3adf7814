#pragma once

#include "agent/collect/Omissions.h"
#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// What stage-collector does: takes the files of a stage that has ended into the store, and reads its reports.
/// docs/artifacts.md has the order of its steps.
class Collector
{
public:
    /// `order`: with `collect`. `attempt`: the attempt's folder. `artifacts`: whether the end of the command is one after
    /// which they are kept; reports are read whatever it was.
    Collector(const Order& order, std::string attempt, bool artifacts)
        : _order(order), _attempt(std::move(attempt)), _withArtifacts(artifacts)
    {
    }

    /// Errors: none; what could not be done is in the answer.
    Collected run();

private:
    void collectArtifacts(Collected& collected);
    [[nodiscard]] KeptArtifacts keep();
    void readReports(Collected& collected);

    const Order& _order;
    std::string _attempt;
    bool _withArtifacts;
    Omissions _omissions;
};

} // namespace agent
