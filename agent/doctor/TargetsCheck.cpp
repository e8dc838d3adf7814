#include "agent/doctor/Checks.h"
#include "agent/outbox/Destination.h"
#include "agent/outbox/TargetConnection.h"

#include <Poco/URI.h>

#include <future>

namespace agent::doctor
{

namespace
{

constexpr const char* advice = "docs/outbox.md; then: systemctl reload stage-agent";

bool sendsSecretsInTheClear(const TargetSpec& target)
{
    const Poco::URI url(target.url);
    Poco::Net::IPAddress address;
    const bool here =
        url.getHost() == "localhost" ||
        (Poco::Net::IPAddress::tryParse(url.getHost(), address) && address.isLoopback());
    return url.getScheme() == "http" && !target.token.empty() && !here;
}

} // namespace

/// All at once: one that does not answer takes ten seconds.
void checkTargets(const Context& context, Findings& findings)
{
    const Config& config = context.setup.config;
    std::vector<Problem> problems;
    std::vector<std::string> refused;
    const auto targets = readTargets(config.outboxDir, config.secretsDir, problems, refused);
    for (const Problem& problem : problems)
        findings.fail("targets", problem.describe(), advice);
    std::vector<std::future<std::string>> answers;
    answers.reserve(targets.size());
    for (const TargetSpec& target : targets)
        answers.push_back(
            std::async(std::launch::async, [&target, &config]
                       { return TargetConnection(target, config.outboxCaFile).reach(); }));
    for (std::size_t i = 0; i < targets.size(); ++i)
    {
        const TargetSpec& target = targets[i];
        const std::string name =
            target.name + " (" + target.type + ", " + shownUrl(target.url) + ")";
        const std::string why = answers[i].get();
        if (!why.empty())
            findings.warn("targets", name + " can't be reached: " + why,
                          "its reports wait until it can: stagectl outbox list");
        else if (sendsSecretsInTheClear(target))
            findings.warn("targets", name + " gets its token unencrypted", "use https");
        else
            findings.ok("targets", name + " can be reached");
    }
}

} // namespace agent::doctor
