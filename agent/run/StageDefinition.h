#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/run/SecretFolder.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What the configuration says of stages, as far as it is shown.
struct StageDefaults
{
    SecretFolder secrets = {};  ///< to mask what is shown
    std::int64_t timeoutMs = 0; ///< 0: none
    std::int64_t graceMs = 0;
};

/// What a stage was submitted with, as a person may see it: without secrets, and without passwords in URLs.
struct StageDefinition
{
    std::map<std::string, std::string> with; ///< settings of its plugin; lists and maps as JSON
    std::vector<std::string> environment;    ///< names only
    std::vector<std::string> secrets;        ///< names only, as all below
    std::map<std::string, std::string> secretsWithheld; ///< by grants; why
    std::string workspace;                              ///< empty: its folder is gone
    WorkspaceMode workspaceMode = WorkspaceMode::Fresh; ///< of its service
    std::int64_t timeoutMs = 0;                         ///< 0: none
    std::int64_t graceMs = 0;                           ///< from TERM to KILL
    int attempts = 1;                                   ///< at most, with retries
    bool approval = false;
};

/// `workspace`: of the run, see workspaceOf(). Returns nothing where the run's pipeline can't be read.
std::optional<StageDefinition> definitionOf(const std::filesystem::path& workspace, const Run& run,
                                            const Stage& stage, const StageDefaults& defaults);

/// Returns the text with `***` in place of user and password of each URL in it.
std::string withoutCredentials(const std::string& text);

} // namespace agent
