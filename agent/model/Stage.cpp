#include "agent/model/Stage.h"

#include <array>
#include <utility>

namespace agent
{

namespace
{

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<StageType, 8> stageTypes{{{StageType::Prepare, "PREPARE"},
                                          {StageType::CodeQuality, "CODE_QUALITY"},
                                          {StageType::UnitTest, "UNIT_TEST"},
                                          {StageType::Build, "BUILD"},
                                          {StageType::IntegrationTest, "INTEGRATION_TEST"},
                                          {StageType::DeployStaging, "DEPLOY_STAGING"},
                                          {StageType::DeployProd, "DEPLOY_PROD"},
                                          {StageType::Other, "OTHER"}}};

constexpr Names<Status, 5> statuses{{{Status::Idle, "IDLE"},
                                     {Status::InProgress, "IN_PROGRESS"},
                                     {Status::AwaitingApproval, "AWAITING_APPROVAL"},
                                     {Status::Success, "SUCCESS"},
                                     {Status::Failure, "FAILURE"}}};

constexpr Names<Cause, 26> causes{{{Cause::Exit, "EXIT"},
                                   {Cause::Signal, "SIGNAL"},
                                   {Cause::External, "EXTERNAL"},
                                   {Cause::Timeout, "TIMEOUT"},
                                   {Cause::Silent, "SILENT"},
                                   {Cause::Stopped, "STOPPED"},
                                   {Cause::Superseded, "SUPERSEDED"},
                                   {Cause::Rejected, "REJECTED"},
                                   {Cause::Expired, "EXPIRED"},
                                   {Cause::Operator, "OPERATOR"},
                                   {Cause::Skipped, "SKIPPED"},
                                   {Cause::Oom, "OOM"},
                                   {Cause::DiskFull, "DISK_FULL"},
                                   {Cause::Artifacts, "ARTIFACTS"},
                                   {Cause::Needs, "NEEDS"},
                                   {Cause::LogLimit, "LOG_LIMIT"},
                                   {Cause::LogCutByPowerLoss, "LOG_CUT_BY_POWER_LOSS"},
                                   {Cause::OutcomeRefused, "OUTCOME_REFUSED"},
                                   {Cause::LeftBehind, "LEFT_BEHIND"},
                                   {Cause::ShimStopped, "SHIM_STOPPED"},
                                   {Cause::Pipeline, "PIPELINE"},
                                   {Cause::PluginMissing, "PLUGIN_MISSING"},
                                   {Cause::PluginError, "PLUGIN_ERROR"},
                                   {Cause::SpawnError, "SPAWN_ERROR"},
                                   {Cause::ShimLost, "SHIM_LOST"},
                                   {Cause::HostReboot, "HOST_REBOOT"}}};

constexpr Names<Intent, 4> intents{{{Intent::Stop, "STOP"},
                                    {Intent::Supersede, "SUPERSEDE"},
                                    {Intent::Succeed, "SUCCEED"},
                                    {Intent::Fail, "FAIL"}}};

template <typename Enum, std::size_t N>
std::string_view nameOf(const Names<Enum, N>& names, Enum value)
{
    for (const auto& [entry, name] : names)
        if (entry == value)
            return name;
    return "";
}

template <typename Enum, std::size_t N>
std::optional<Enum> valueOf(const Names<Enum, N>& names, std::string_view text)
{
    for (const auto& [entry, name] : names)
        if (name == text)
            return entry;
    return std::nullopt;
}

} // namespace

std::string_view toString(StageType type)
{
    return nameOf(stageTypes, type);
}

std::string_view toString(Status status)
{
    return nameOf(statuses, status);
}

std::string_view toString(Cause cause)
{
    return nameOf(causes, cause);
}

std::string_view toString(Intent intent)
{
    return nameOf(intents, intent);
}

Intent intentFrom(std::string_view text)
{
    return valueOf(intents, text).value_or(Intent::None);
}

Cause causeOf(Intent intent)
{
    if (intent == Intent::Stop)
        return Cause::Stopped;
    return intent == Intent::Supersede ? Cause::Superseded : Cause::Operator;
}

std::optional<StageType> stageTypeFrom(std::string_view text)
{
    return valueOf(stageTypes, text);
}

std::optional<Status> statusFrom(std::string_view text)
{
    return valueOf(statuses, text);
}

std::optional<Cause> causeFrom(std::string_view text)
{
    return valueOf(causes, text);
}

void Stage::clearEnd()
{
    startedAt.reset();
    endedAt.reset();
    cause.reset();
    exitCode.reset();
    signal.reset();
    message.clear();
    containment.clear();
    isolation.clear();
    network.clear();
    limitsMissing.clear();
    notes.clear();
    logBytes = 0;
    usage = {};
    artifactFiles.reset();
    artifactBytes.reset();
    artifactManifest.clear();
    testsTotal.reset();
    testsFailed.reset();
    testsSkipped.reset();
    outputs.clear();
    startedCorrected = false;
    retryAt.reset();
    expiresAt.reset();
    clearStuck();
}

void Stage::clearStuck()
{
    stuckSince.reset();
    stuckWhy.clear();
}

void Stage::clearIntent()
{
    intent = Intent::None;
    intentActor.clear();
    intentReason.clear();
    intentStartedAt.reset();
    intentEndedAt.reset();
}

} // namespace agent
