#include "agent/run/PipelineReader.h"

#include "agent/model/Id.h"
#include "agent/model/Suggestion.h"
#include "agent/run/ArtifactKeys.h"
#include "agent/run/CacheKeys.h"
#include "agent/run/ConditionKeys.h"
#include "agent/run/InputRules.h"
#include "agent/run/NeedKeys.h"
#include "agent/run/PipelineFileReader.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineValues.h"
#include "agent/run/SecretKeys.h"

#include <algorithm>
#include <limits>

namespace agent
{

namespace
{

constexpr std::int64_t maxConcurrency = 10'000;

/// Returns an empty text if there is none.
std::string idOf(const DocumentMap& map)
{
    const auto value = map.find("id");
    const auto id = value ? value->text() : std::nullopt;
    if (id && !isVersion4(*id))
        value->expected("a UUID of version 4 in lower case");
    return id.value_or("");
}

int concurrencyOf(const DocumentMap& map)
{
    const auto value = map.find("concurrency");
    return value ? static_cast<int>(value->integer(1, maxConcurrency).value_or(1)) : 1;
}

} // namespace

void PipelineReader::readService(const DocumentValue& root, Service& service) const
{
    const DocumentMap map(root, serviceKeys, DocumentMap::Others::Prefixed);
    service.id = idOf(map);
    if (const auto value = map.require("name"))
        service.name = ruled(*value, serviceNameProblem);
    service.concurrency = concurrencyOf(map);
    readKeys(map, service.pipeline);
    readHooks(map, service);
    readLabels(map, service);
    readLinks(map, service);
}

void PipelineReader::readPipeline(const DocumentValue& root, PipelineSpec& spec) const
{
    std::vector<std::string_view> known = serviceKeys;
    if (_source == Source::Stored)
        known.push_back(storedFileKey);
    const DocumentMap map(root, known, DocumentMap::Others::Prefixed);
    // A service's file may be sent as it is; what only a declared service has is checked and has no effect.
    (void)idOf(map);
    if (const auto value = map.find("name"))
        ruled(*value, serviceNameProblem);
    (void)concurrencyOf(map);
    for (const char* key : {"secrets", "grants", "git"})
        if (const auto value = map.find(key); value && _source == Source::Request)
            value->problem("an inline pipeline may not name secrets");
    if (_source == Source::Stored)
        secretKeys::readPullRequest(map, spec);
    Service unused;
    readHooks(map, unused);
    readLabels(map, unused);
    readLinks(map, unused);
    if (const auto value = map.find("pipeline"))
        value->problem("an inline pipeline has its stages in the request");
    if (const auto value = map.find(storedFileKey); value && _source == Source::Stored)
        readStoredFile(*value, spec);
    readKeys(map, spec);
}

void PipelineReader::readKeys(const DocumentMap& map, PipelineSpec& spec) const
{
    if (const auto value = map.find("repository"))
        spec.repository = ruled(*value, repositoryProblem);
    if (const auto value = map.find("branch"))
        spec.branch = ruled(*value, branchProblem);
    if (const auto value = map.find("env"))
        readEnv(*value, spec);
    if (_source != Source::Request)
        secretKeys::read(map, _source != Source::Stored, spec);
    readIsolation(map, spec);
    if (const auto value = map.find("supersede"))
        spec.supersede = value->boolean().value_or(false);
    if (_source == Source::Service && readFileKeys(map, spec))
        readCheckout(map, spec);
    else if (const auto value = map.require("stages"))
        readStages(*value, spec);
    if (const auto value = map.find("workspace"))
        readWorkspace(*value, spec);
}

/// Whose workspace is kept has to be proved before anything is written there: docs/workspaces.md.
void PipelineReader::readWorkspace(const DocumentValue& value, PipelineSpec& spec) const
{
    spec.workspace =
        oneOf(value, workspaceModeFrom, {"fresh", "clean", "reuse"}).value_or(WorkspaceMode::Fresh);
    if (_source != Source::Service || spec.workspace == WorkspaceMode::Fresh ||
        spec.repository.empty() || spec.stages.empty())
        return;
    const StageSpec& first = spec.stages.front();
    if (first.plugin != "git" || first.with.contains("ref") || first.with.contains("repository"))
        value.problem("needs the checkout as the first stage: plugin git, without ref and "
                      "repository of its own");
    else if (!first.artifacts.paths.empty() || !first.reports.junit.empty())
        value.problem("the checkout keeps no artifacts and has no reports then: give them to a "
                      "stage after it");
    if (spec.branch.empty())
        value.problem("needs the key branch: what other branches leave is kept apart from it");
}

/// The stage PREPARE of a service whose other stages stand in its repository.
void PipelineReader::readCheckout(const DocumentMap& map, PipelineSpec& spec) const
{
    const auto value = map.find("stages");
    if (value)
        readStages(*value, spec);
    checkCheckout(map, spec);
}

/// A file of a repository has no more than fileKeys; what is the service's is told as such.
void PipelineReader::readFile(const DocumentValue& root, PipelineSpec& spec) const
{
    std::vector<std::string_view> known = namesOf(fileKeys);
    for (const std::string_view key : serviceKeys)
        known.push_back(key);
    const DocumentMap map(root, known, DocumentMap::Others::Prefixed);
    refuseServiceKeys(map);
    if (const auto value = map.find("env"))
        readEnv(*value, spec);
    if (const auto value = map.require("stages"))
        readStages(*value, spec);
}

/// What starts runs besides requests: docs/hooks.md.
void PipelineReader::readHooks(const DocumentMap& map, Service& service) const
{
    if (const auto secret = map.find("hook_secret"))
        service.hookSecret = ruled(*secret, environmentProblem);
    if (const auto given = map.find("secrets_for_pull_requests"))
        service.secretsForPullRequests = given->boolean().value_or(false);
    if (const auto forks = map.find("forks"))
    {
        service.forksAllowed = forks->text() == "allow";
        if (!service.forksAllowed)
            forks->expected("allow");
    }
    const auto on = map.find("on");
    if (const auto poll = map.find("poll"))
    {
        service.pollMs = duration(*poll, 1'000).value_or(0);
        if (!on)
            poll->problem("needs the key on, with push or tags: it says which runs are started");
        if (map.find("git"))
            poll->problem("needs a repository that can be read without the key git: the agent's "
                          "git.config may name a credential helper");
    }
    if (!on)
        return;
    if (!map.find("repository"))
        on->problem("needs the key repository: deliveries of a forge are about one");
    const DocumentMap rules(*on, {"push", "tags", "pull_request"});
    OnRules& to = service.on.emplace();
    if (const auto push = rules.find("push"))
    {
        const DocumentMap branches(*push, {"branches"});
        if (const auto list = branches.require("branches"))
            to.branches = patternsOf(*list);
    }
    if (const auto tags = rules.find("tags"))
        to.tags = patternsOf(*tags);
    if (const auto request = rules.find("pull_request"))
    {
        to.pullRequest = true;
        if (request->node().kind == DocumentNode::Kind::Boolean)
            to.pullRequest = request->boolean().value_or(false);
        else if (const auto list = DocumentMap(*request, {"branches"}).require("branches"))
            to.bases = patternsOf(*list);
    }
}

void PipelineReader::readEnv(const DocumentValue& value, PipelineSpec& spec) const
{
    for (const DocumentValue& member : value.members())
    {
        if (const std::string wrong = environmentProblem(member.key());
            !wrong.empty() && _source != Source::Stored)
            member.problem(wrong);
        if (member.node().kind == DocumentNode::Kind::Null)
            member.expected("text ('' is an empty one)");
        else if (auto text = member.text())
        {
            checkLength(member, text->size());
            spec.env[member.key()] = std::move(*text);
        }
    }
}

/// What execve(2) refuses shall not fail a stage after an hour.
void PipelineReader::checkLength(const DocumentValue& member, std::size_t size) const
{
    if (_source != Source::Stored && member.key().size() + size > bounds::variable)
        member.problem("must not be longer than " + std::to_string(bounds::variable) +
                       " bytes with its name, and has " +
                       std::to_string(member.key().size() + size) +
                       ": a program gets no longer one; put it into a file of the repository");
}

/// The environment of a stage as a whole, for which execve(2) has a bound too.
void PipelineReader::checkSize(const DocumentValue& value, const PipelineSpec& spec,
                               const StageSpec& stage) const
{
    std::size_t size = 0;
    for (const auto& [name, text] : spec.env)
        size += name.size() + text.size();
    for (const auto& [name, setting] : stage.with)
        size += name.size() + setting.text.size();
    if (_source != Source::Stored && size > bounds::environment)
        value.problem("env and with together must not be longer than " +
                      std::to_string(bounds::environment) + " bytes, and have " +
                      std::to_string(size));
}

void PipelineReader::readIsolation(const DocumentMap& map, PipelineSpec& spec)
{
    if (const auto value = map.find("isolation"))
        spec.isolation = oneOf(*value, isolationFrom, {"sandbox", "none"});
    if (const auto value = map.find("network"))
        spec.network = oneOf(*value, networkFrom, {"host", "none"}).value_or(Network::Host);
    if (const auto value = map.find("binds"))
        for (const DocumentValue& item : value->list())
        {
            const auto text = item.text();
            const auto bind = text ? bindFrom(*text) : std::nullopt;
            if (bind)
                spec.binds.push_back(*bind);
            else if (text)
                item.expected("an absolute path such as /dev/kvm or /var/cache/ccache:rw, without "
                              ". and ..");
        }
}

void PipelineReader::readStages(const DocumentValue& value, PipelineSpec& spec) const
{
    const auto items = value.list();
    const std::size_t most = pipelineBounds::stages - (_source == Source::File ? 1 : 0);
    if (value.node().kind == DocumentNode::Kind::List && _source != Source::Stored &&
        (items.empty() || items.size() > most))
        value.problem("must hold 1 to " + std::to_string(most) + " stages, holds " +
                      std::to_string(items.size()));
    for (const DocumentValue& item : items)
    {
        readStage(item, spec, spec.stages.emplace_back());
        checkSize(item, spec, spec.stages.back());
    }
}

void PipelineReader::readStage(const DocumentValue& value, const PipelineSpec& spec,
                               StageSpec& stage) const
{
    const DocumentMap map(value, namesOf(stageKeys));
    if (const auto type = map.require("type"))
        stage.type = stageType(*type).value_or(StageType::Other);
    if (const auto name = map.find("name"))
    {
        stage.name = name->word().value_or("");
        if (stage.name.size() > pipelineBounds::stageName ||
            stage.name.find_first_of("\n\r\t") != std::string::npos)
            name->problem("must be one line of at most " +
                          std::to_string(pipelineBounds::stageName) + " bytes");
    }
    if (const auto plugin = map.require("plugin"))
        stage.plugin = plugin->word().value_or("");
    if (const auto with = map.find("with"))
        for (const DocumentValue& member : with->members())
            if (auto setting = member.setting())
            {
                checkLength(member, setting->text.size());
                stage.with.emplace(member.key(), std::move(*setting));
            }

    if (const auto timeout = map.find("timeout"))
        stage.timeoutMs = duration(*timeout, 1);
    if (const auto silence = map.find("silence"))
        stage.silenceMs = duration(*silence, 1);
    if (const auto grace = map.find("grace"))
        stage.graceMs = duration(*grace, 0);
    if (const auto stuck = map.find("stuck_after"))
        stage.stuckAfterMs = duration(*stuck, 1);
    if (const auto output = map.find("output"))
        stage.output =
            oneOf(*output, stageOutputFrom, {"merged", "separate"}).value_or(StageOutput::Merged);
    if (const auto retry = map.find("retry"))
        readRetry(*retry, stage.retry);
    if (const auto limits = map.find("limits"))
        readLimits(*limits, stage.limits);
    if (const auto when = map.find("when"))
        readWhen(*when, stage.when, _source == Source::Stored);
    if (const auto approval = map.find("approval"))
        readApproval(*approval, stage.approval);
    if (const std::string wrong = togetherProblem(stage);
        !wrong.empty() && _source != Source::Stored)
        value.problem(wrong);
    if (const auto artifacts = map.find("artifacts"))
        readArtifacts(*artifacts, stage.artifacts, _source == Source::Stored);
    if (const auto reports = map.find("reports"))
        readReports(*reports, stage.reports, _source == Source::Stored);
    if (const auto caches = map.find("cache"))
    {
        readCaches(*caches, stage.caches, _source == Source::Stored);
        if (_source == Source::Request)
            caches->problem("an inline pipeline has no caches: they belong to a service");
        if (stage.plugin == "git" && _source != Source::Stored)
            caches->problem("the plugin git empties the workspace: give it to a stage after it");
    }
    if (const auto needs = map.find("needs"))
    {
        readNeeds(*needs, stage.needs, _source == Source::Stored);
        if (_source == Source::Request)
            needs->problem(
                "an inline pipeline has none: a service of this host says what it may have");
        if (stage.plugin == "git" && _source != Source::Stored)
            needs->problem("the plugin git empties the workspace: give them to a stage after it");
    }
    if (const auto secrets = map.find("secrets"); secrets && _source == Source::Request)
        secrets->problem("an inline pipeline may not name secrets");
    else if (secrets)
        secretKeys::readOfStage(*secrets, _source != Source::Stored, spec, stage);
}

std::optional<StageType> PipelineReader::stageType(const DocumentValue& value)
{
    const auto text = value.text();
    const auto known = text ? stageTypeFrom(*text) : std::nullopt;
    if (text && !known)
        value.expected("one of " + joined(stageTypeNames()), suggestion(*text, stageTypeNames()));
    return known;
}

void PipelineReader::readRetry(const DocumentValue& value, RetrySpec& retry)
{
    const DocumentMap map(value, namesOf(retryKeys));
    if (const auto attempts = map.find("attempts"))
        retry.attempts =
            static_cast<int>(attempts->integer(1, pipelineBounds::attempts).value_or(1));
    if (const auto delay = map.find("delay"))
        retry.delayMs = duration(*delay, 0).value_or(0);
    if (const auto on = map.find("on"))
        readRetryOn(*on, retry);
    if (const auto onLoss = map.find("on_loss"))
        retry.onLoss = onLoss->boolean().value_or(false);
    if (!map.find("attempts"))
        retry.attempts = 2; // whoever writes `retry` wants one
}

void PipelineReader::readRetryOn(const DocumentValue& value, RetrySpec& retry)
{
    std::vector<std::string_view> known;
    known.reserve(retryableCauses.size());
    for (const Cause cause : retryableCauses)
        known.push_back(toString(cause));

    const auto items = value.list();
    if (value.node().kind == DocumentNode::Kind::List && items.empty())
        value.problem("must hold an exit code or a cause; leave it out for any failure");
    for (const DocumentValue& item : items)
    {
        if (item.node().kind == DocumentNode::Kind::Number)
        {
            if (const auto code = item.integer(1, pipelineBounds::exitCode))
                retry.onExitCodes.push_back(static_cast<int>(*code));
            continue;
        }
        const auto text = item.text();
        const auto cause = text ? causeFrom(*text) : std::nullopt;
        if (cause && std::find(retryableCauses.begin(), retryableCauses.end(), *cause) !=
                         retryableCauses.end())
            retry.onCauses.push_back(*cause);
        else if (cause)
            item.problem(std::string(toString(*cause)) + " is never tried again");
        else if (text)
            item.expected("an exit code from 1 to 255 or one of " + joined(known),
                          suggestion(*text, known));
    }
}

void PipelineReader::readLimits(const DocumentValue& value, Limits& limits)
{
    const DocumentMap map(value, namesOf(limitKeys));
    if (const auto memory = map.find("memory"))
    {
        const auto text = memory->text();
        const auto bytes = text ? parseBytes(*text) : std::nullopt;
        if (text && (!bytes || *bytes < 1))
            memory->expected("a size such as 512MiB or 2GiB");
        limits.memoryBytes = bytes.value_or(0);
    }
    if (const auto cpu = map.find("cpu"))
        limits.cpuPercent = cpuPercent(*cpu).value_or(0);
    if (const auto pids = map.find("pids"))
        limits.pids = pids->integer(1, std::numeric_limits<std::int32_t>::max()).value_or(0);
}

} // namespace agent
