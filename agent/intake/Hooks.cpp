#include "agent/intake/Hooks.h"

#include "agent/model/Declined.h"
#include "agent/model/RepositoryName.h"
#include "agent/model/Token.h"
#include "agent/os/SecretFile.h"
#include "agent/os/Sha256.h"
#include "agent/run/InputRules.h"
#include "agent/run/RunPipeline.h"
#include "agent/store/ServiceRuns.h"

#include <algorithm>
#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::size_t keptRefusals = 100;
constexpr std::size_t longestName = 255; ///< of what is shown of a delivery
constexpr std::size_t longestReason = 4096;

/// A line of the outcome is about one service: no text of a delivery may begin another.
std::string oneLine(std::string text)
{
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

std::string list(const std::vector<std::string>& patterns)
{
    std::string all;
    for (const auto& pattern : patterns)
        all += (all.empty() ? "" : ", ") + pattern;
    return all;
}

bool isCommit(const std::string& text)
{
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// What is wrong with a text that git or an environment would get.
std::string eventProblem(const ForgeEvent& event)
{
    if (!isCommit(event.commit))
        return "it names no commit";
    if (const auto wrong = branchProblem(event.branch); !wrong.empty() || event.branch.empty())
        return "its branch or tag can't be built: " + wrong;
    if (event.fork && (event.base.empty() || !branchProblem(event.base).empty()))
        return "it names no branch that it is to go into";
    if (event.fork && !event.pullNumber)
        return "the pull request of a fork has no number";
    return "";
}

std::string shownRef(const ForgeEvent& event)
{
    return event.pullNumber ? "#" + std::to_string(*event.pullNumber) : event.branch;
}

TriggerType triggerOf(const ForgeEvent& event)
{
    if (event.kind == ForgeEvent::Kind::PullRequestOpened)
        return TriggerType::PrOpen;
    return event.kind == ForgeEvent::Kind::PullRequestUpdated ? TriggerType::PrSync
                                                              : TriggerType::Main;
}

/// A pull request never deploys.
PipelineSpec pipelineOf(const Service& service, const ForgeEvent& event)
{
    PipelineSpec pipeline = pipelineFor(
        service, triggerOf(event), event.fork ? std::optional(Fork{event.base}) : std::nullopt);
    if (event.pullRequest())
        std::erase_if(pipeline.stages, [](const StageSpec& stage) { return deploys(stage.type); });
    return pipeline;
}

/// One for each commit of a branch or tag, whoever tells of it.
std::string polledId(const ForgeEvent& event)
{
    const bool tag = event.kind == ForgeEvent::Kind::Tag;
    std::string id = event.commit;
    id.append(tag ? " refs/tags/" : " refs/heads/").append(event.branch);
    return fittedText(id, longestName);
}

void describe(const ForgeEvent& event, HookDelivery& delivery)
{
    delivery.event = fittedText(event.name, longestName);
    delivery.repository =
        event.repositories.empty()
            ? ""
            : fittedText(shownRepository(event.repositories.front()), longestName);
    delivery.ref = fittedText(shownRef(event), longestName);
}

} // namespace

std::string noRunBecause(const Service& service, const ForgeEvent& event)
{
    if (!service.on)
        return "the service has no `on`";
    const OnRules& on = *service.on;
    using Kind = ForgeEvent::Kind;
    if (event.kind == Kind::Push && !matchesAny(on.branches, event.branch))
        return "branch " + event.branch + " is none of on.push.branches (" + list(on.branches) +
               ")";
    if (event.kind == Kind::Tag && !matchesAny(on.tags, event.branch))
        return "tag " + event.branch + " is none of on.tags (" + list(on.tags) + ")";
    if (!event.pullRequest())
        return "";
    if (!on.pullRequest)
        return "on.pull_request is not set";
    if (!on.bases.empty() && !matchesAny(on.bases, event.base))
        return "the pull request is to go into " + fittedText(event.base, longestName) +
               ", none of on.pull_request.branches (" + list(on.bases) + ")";
    return event.fork && !service.forksAllowed
               ? "the pull request comes from another repository: forks run nothing"
               : "";
}

Hooks::Services Hooks::concerned(const ForgeEvent& event) const
{
    std::vector<std::string> names;
    for (const auto& url : event.repositories)
        if (const std::string name = repositoryName(url); !name.empty())
            names.push_back(name);
    Services found;
    for (const auto& service : _parts.services.all())
        if (const std::string own = repositoryName(service->pipeline.repository);
            !own.empty() && std::find(names.begin(), names.end(), own) != names.end())
            found.push_back(service);
    return found;
}

bool Hooks::provenBy(const std::string& secret, Forge forge, const HookHeaders& headers,
                     const std::string& body) const
try
{
    return !secret.empty() &&
           proves(forge, headers, body, readSecretFile(_parts.secretsDir / secret));
}
catch (const std::runtime_error&)
{
    return false; // a file that can't be read proves nothing
}

Hooks::Services Hooks::proven(const Services& services, Forge forge, const HookHeaders& headers,
                              const std::string& body) const
{
    Services found;
    for (const auto& service : services)
        if (provenBy(service->hookSecret.empty() ? _parts.secret : service->hookSecret, forge,
                     headers, body))
            found.push_back(service);
    if (found.empty() && !provenBy(_parts.secret, forge, headers, body))
        throw HookUnproven();
    return found;
}

commands::Delivered Hooks::decide(Forge forge, const HookHeaders& headers, const std::string& body,
                                  HookDelivery& delivery)
{
    const ForgeEvent event = eventOf(forge, headers, body);
    describe(event, delivery);
    Sha256 digest;
    digest.update(body);
    delivery.delivery =
        event.delivery.empty() ? toHex(digest.digest()) : fittedText(event.delivery, longestName);
    return start(event, proven(concerned(event), forge, headers, body), delivery);
}

commands::Delivered Hooks::start(const ForgeEvent& event, const Services& services,
                                 HookDelivery& delivery)
{
    std::vector<Submission> submissions;
    const auto none = [&](const std::string& who, const std::string& why)
    {
        delivery.outcome += (delivery.outcome.empty() ? "" : "\n") +
                            (who.empty() ? "" : who + ": ") + "no run: " + oneLine(why);
    };
    if (event.kind == ForgeEvent::Kind::None)
        none("", event.why);
    else if (services.empty())
        none("", "no service has this repository");
    else if (const auto wrong = eventProblem(event); !wrong.empty())
        none("", wrong);
    else
        for (const auto& service : services)
        {
            if (const auto why = noRunBecause(*service, event); !why.empty())
            {
                none(service->name, why);
                continue;
            }
            try
            {
                PipelineSpec pipeline = pipelineOf(*service, event);
                if (pipeline.stages.empty())
                {
                    none(service->name,
                         "a pull request has no DEPLOY stages, and there are no others");
                    continue;
                }
                checkPipeline(pipeline, {}, service->name, triggerOf(event), _parts.plugins,
                              _parts.isolation);
                submissions.push_back(
                    {.pipeline = Pipeline(std::move(pipeline)),
                     .serviceId = service->id,
                     .serviceName = service->name,
                     .commit = event.commit,
                     .branch = event.fork ? branchOfFork(*event.pullNumber) : event.branch,
                     .commitMessage = fittedText(event.message, bounds::commitMessage),
                     .committer = fittedText(event.committer, bounds::committer),
                     .trigger = triggerOf(event),
                     .pullNumber = event.pullNumber,
                     .labels = service->labels,
                     .actor = fittedText(delivery.forge +
                                             (event.sender.empty() ? "" : ":" + event.sender),
                                         longestName),
                     .polledAs = event.pullRequest() ? "" : polledId(event)});
            }
            catch (const Declined& declined)
            {
                none(service->name, declined.message);
            }
        }
    return commands::deliver(_parts.engine, delivery, submissions);
}

commands::Delivered Hooks::receive(Forge forge, const HookHeaders& headers, const std::string& body)
{
    HookDelivery delivery{.at = nowMs(), .forge = std::string(toString(forge))};
    try
    {
        auto delivered = decide(forge, headers, body, delivery);
        const std::lock_guard lock(_mutex);
        ++(delivered.seen || delivered.delivery.runIds.empty() ? _counts.without : _counts.started);
        return delivered;
    }
    catch (const HookUnproven&)
    {
        refuse(delivery, "the signature or token is missing or wrong, or no secret is set");
        throw;
    }
    catch (const Declined& declined)
    {
        refuse(delivery, declined.message);
        throw;
    }
    catch (const std::runtime_error& error)
    {
        refuse(delivery, error.what());
        throw;
    }
}

bool Hooks::polled(const ForgeEvent& event)
{
    Services wanted;
    auto reader = _parts.database.reader();
    for (const auto& service : concerned(event))
        if (service->pollMs > 0 && noRunBecause(*service, event).empty() &&
            !ServiceRuns(*reader).hasRun(service->name, event.commit, event.branch))
            wanted.push_back(service);
    if (wanted.empty())
        return false;
    HookDelivery delivery{.at = nowMs(), .forge = "poll"};
    describe(event, delivery);
    delivery.delivery = polledId(event);
    start(event, wanted, delivery);
    return true;
}

void Hooks::refuse(HookDelivery delivery, const std::string& why)
{
    delivery.outcome = "refused: " + fittedText(why, longestReason);
    const std::lock_guard lock(_mutex);
    ++_counts.refused;
    _refused.push_front(std::move(delivery));
    if (_refused.size() > keptRefusals)
        _refused.pop_back();
}

std::vector<HookDelivery> Hooks::refused() const
{
    const std::lock_guard lock(_mutex);
    return {_refused.begin(), _refused.end()};
}

Hooks::Counts Hooks::counts() const
{
    const std::lock_guard lock(_mutex);
    return _counts;
}

} // namespace agent
