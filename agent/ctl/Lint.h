#pragma once

#include <string>
#include <vector>

namespace agent::ctl
{

/// The arguments of `lint`, which needs no agent.
struct LintRequest
{
    std::string file = ".stage-agent.yaml";
    std::string service; ///< whose rules count; empty: nobody's
    std::string
        config; ///< with `service`: the agent's configuration; empty: the installed one, if there is one
    std::vector<std::string> definitions; ///< each `key=value`
    bool schema = false;                  ///< print the JSON Schema instead
};

/// Replaces this process by `stage-agent --lint` or `--pipeline-schema`.
/// Errors: Failure Usage if that program can't be executed.
[[noreturn]] void lint(const LintRequest& request);

} // namespace agent::ctl
