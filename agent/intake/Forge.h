#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

enum class Forge
{
    Github,
    Gitlab,
    Gitea ///< and Forgejo
};

std::string_view toString(Forge forge);
std::optional<Forge> forgeFrom(std::string_view text);

/// The headers of a delivery, names in lower case.
using HookHeaders = std::map<std::string, std::string>;

/// What a forge tells of, the same for all forges.
struct ForgeEvent
{
    enum class Kind
    {
        Push,
        Tag,
        PullRequestOpened,  ///< also reopened, or ready for review
        PullRequestUpdated, ///< it has new commits
        None                ///< it starts no run, whatever the services say: see `why`
    };

    Kind kind = Kind::None;
    std::string name;                      ///< as the forge calls it: `pull_request opened`
    std::string why;                       ///< of None, for people: `the branch was deleted`
    std::string delivery;                  ///< the forge's id of it
    std::vector<std::string> repositories; ///< URLs of the one repository
    std::string branch; ///< or tag; of a pull request: that which is to be merged
    std::string base;   ///< of a pull request: into which
    std::string commit;
    std::string message;
    std::string committer;
    std::string sender;
    std::optional<std::int64_t> pullNumber;
    bool fork =
        false; ///< of a pull request: what is to be merged is in another repository, or in none any more

    [[nodiscard]] bool pullRequest() const
    {
        return kind == Kind::PullRequestOpened || kind == Kind::PullRequestUpdated;
    }
};

/// Reads a delivery. What a text of it holds is checked where it is used.
/// Errors: std::runtime_error for a body that is no such delivery.
/// Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads,
/// https://docs.gitlab.com/user/project/integrations/webhook_events/, https://docs.gitea.com/usage/webhooks
ForgeEvent eventOf(Forge forge, const HookHeaders& headers, const std::string& body);

/// Returns whether the delivery proves that its sender knows the secret: GitHub and Gitea sign the body
/// (HMAC-SHA-256), GitLab sends the secret. Takes as long for a wrong proof as for a right one.
bool proves(Forge forge, const HookHeaders& headers, const std::string& body,
            const std::string& secret);

} // namespace agent
