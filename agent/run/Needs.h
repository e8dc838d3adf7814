#pragma once

#include "agent/run/Batch.h"
#include "agent/run/CleanupWorker.h"
#include "agent/run/RunSpecs.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/run/StateFolder.h"
#include "agent/store/TakenSets.h"
#include "agent/wire/Order.h"

#include <optional>
#include <string>

namespace agent
{

/// What stages take of what other services made: chooses it, has it copied, and holds it meanwhile. Source: docs/artifacts.md,
/// "What another service made". Threads: the engine's.
class Needs
{
public:
    Needs(RunSpecs& specs, const StateFolder& state, const ServiceCatalog& services,
          CleanupWorker& cleanup)
        : _specs(specs), _state(state), _services(services), _cleanup(cleanup)
    {
    }

    /// Lets the command of `order` be executed when what the stage needs is copied; puts on record what that is, unless it is there
    /// already. Returns why the attempt can't be launched; empty: it can.
    std::string prepare(Batch& batch, Order& order, const Run& run, const Stage& stage);

    /// Sets cause and message of an attempt whose command was not executed because something that it needs is missing.
    void judge(const Run& run, Stage& stage);

    /// The attempt at work in `stage` has ended: lets go what it held.
    void stageEnded(Batch& batch, const Stage& stage);

    /// The run ended in SUCCESS: offers what its stages made to other services.
    void runEnded(Batch& batch, const Run& run);

    /// Lets go what no attempt at work holds.
    void recover(Batch& batch);

private:
    std::optional<TakenSet> find(Batch& batch, const NeedSpec& need, std::string& why) const;
    void letGo(Batch& batch, const TakenSet& set);

    RunSpecs& _specs;
    const StateFolder& _state;
    const ServiceCatalog& _services;
    CleanupWorker& _cleanup;
};

} // namespace agent
