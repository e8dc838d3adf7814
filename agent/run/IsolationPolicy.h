#pragma once

#include "agent/model/PipelineSpec.h"

#include <filesystem>
#include <string>
#include <vector>

namespace agent
{

bool isPullRequest(TriggerType trigger);

/// What this host and its configuration say of how stages are kept apart from it: docs/isolation.md.
/// Threads: any; it never changes once the agent has started.
struct IsolationPolicy
{
    Isolation byDefault = Isolation::None;
    std::vector<std::string> noneAllowed; ///< names of services, `*` stands for any characters
    std::vector<Bind> bindable;           ///< what a service may bind, and whether to write there
    std::string hostLacks;                ///< why this host can't sandbox; empty: it can
    std::filesystem::path bubblewrap;     ///< the program
    std::vector<std::string> hidden;      ///< files and folders that no sandbox shows
    std::vector<std::string> shown;       ///< folders that each one shows, wherever they are

    /// Takes in that this host can't sandbox. `chosen`: the default was set by the operator, and stays.
    void withoutSandbox(const std::string& why, bool chosen);

    /// Returns the isolation of a run: of a pull request it is always the sandbox.
    [[nodiscard]] Isolation of(const PipelineSpec& pipeline, TriggerType trigger) const;

    /// Whether a stage without a sandbox may exist on this agent.
    [[nodiscard]] bool noneIsPossible() const;

    /// Returns what `pipeline` asks for and may not have, with the keys `isolation`, `network` and `binds[0]`.
    /// `service`: its name; empty: an inline pipeline.
    [[nodiscard]] std::vector<Problem> check(const PipelineSpec& pipeline,
                                             const std::string& service) const;

    /// Returns why a run of a pull request is refused; empty if it is not.
    [[nodiscard]] std::string pullRequestProblem(TriggerType trigger) const;

private:
    [[nodiscard]] std::string noneProblem(const std::string& service) const;
    [[nodiscard]] std::string bindProblem(const Bind& bind) const;
};

} // namespace agent
