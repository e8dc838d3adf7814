// What GitHub, GitLab, Gitea and Forgejo deliver.
#include "agent/intake/Forge.h"

#include "agent/model/Utf8.h"
#include "agent/os/Sha256.h"
#include "agent/run/InputRules.h"

#include <rapidjson/document.h>

#include <initializer_list>
#include <stdexcept>

namespace agent
{

namespace
{

using rapidjson::Value;
using Kind = ForgeEvent::Kind;

constexpr std::size_t longestName = 255;
constexpr std::size_t longestUuid = 100; ///< with the digest it is no longer than other ids

/// The value at a path of members; null where one is missing.
const Value& at(const Value& value, std::initializer_list<const char*> path)
{
    static const Value null;
    const Value* found = &value;
    for (const char* name : path)
    {
        if (!found->IsObject())
            return null;
        const auto member = found->FindMember(name);
        if (member == found->MemberEnd())
            return null;
        found = &member->value;
    }
    return *found;
}

std::string text(const Value& value, std::initializer_list<const char*> path)
{
    const Value& found = at(value, path);
    return found.IsString() ? std::string(found.GetString(), found.GetStringLength()) : "";
}

bool isTrue(const Value& value, std::initializer_list<const char*> path)
{
    const Value& found = at(value, path);
    return found.IsBool() && found.GetBool();
}

std::optional<std::int64_t> number(const Value& value, std::initializer_list<const char*> path)
{
    const Value& found = at(value, path);
    return found.IsInt64() ? std::optional(found.GetInt64()) : std::nullopt;
}

std::string header(const HookHeaders& headers, const std::string& name)
{
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

/// What the texts for people tell of an event: a forge's own are short.
std::string shownName(const std::string& text)
{
    return fittedText(text, longestName);
}

bool isNone(const std::string& commit)
{
    return commit.find_first_not_of('0') == std::string::npos;
}

std::string person(const Value& author)
{
    const std::string name = text(author, {"name"});
    const std::string mail = text(author, {"email"});
    return mail.empty() ? name : name + " <" + mail + ">";
}

void nothing(ForgeEvent& event, const std::string& why)
{
    event.kind = Kind::None;
    event.why = why;
}

/// `refs/heads/main` or `refs/tags/v1`, and the commit that it has now.
void readRef(ForgeEvent& event, const std::string& ref, const std::string& after, bool deleted)
{
    const std::string heads = "refs/heads/";
    const std::string tags = "refs/tags/";
    if (ref.starts_with(heads))
        event.kind = Kind::Push;
    else if (ref.starts_with(tags))
        event.kind = Kind::Tag;
    else
        return nothing(event, "it is about neither a branch nor a tag");
    const bool push = event.kind == Kind::Push;
    event.branch = ref.substr(push ? heads.size() : tags.size());
    event.commit = after;
    if (deleted || isNone(after))
        nothing(event, push ? "the branch was deleted" : "the tag was deleted");
}

void addRepository(ForgeEvent& event, const Value& repository,
                   std::initializer_list<const char*> names)
{
    for (const char* name : names)
        if (const std::string url = text(repository, {name}); !url.empty())
            event.repositories.push_back(url);
}

/// GitHub's, which Gitea has too.
void readPush(ForgeEvent& event, const Value& body)
{
    readRef(event, text(body, {"ref"}), text(body, {"after"}), isTrue(body, {"deleted"}));
    const Value& commit = at(body, {"head_commit"});
    event.message = text(commit, {"message"});
    event.committer = person(at(commit, {"author"}));
    if (event.kind == Kind::Tag && !text(commit, {"id"}).empty())
        event.commit = text(commit, {"id"}); // `after` may be the tag's own object
}

void readPullRequest(ForgeEvent& event, const Value& body)
{
    const std::string action = shownName(text(body, {"action"}));
    event.name += " " + action;
    const Value& request = at(body, {"pull_request"});
    if (action == "opened" || action == "reopened" || action == "ready_for_review")
        event.kind = Kind::PullRequestOpened;
    else if (action == "synchronize" || action == "synchronized")
        event.kind = Kind::PullRequestUpdated;
    event.pullNumber = number(request, {"number"});
    event.branch = text(request, {"head", "ref"});
    event.base = text(request, {"base", "ref"});
    event.commit = text(request, {"head", "sha"});
    event.message = text(request, {"title"});
    event.committer = text(request, {"user", "login"});
    const std::string head = text(request, {"head", "repo", "full_name"});
    event.fork = head.empty() || head != text(request, {"base", "repo", "full_name"});
    if (event.kind == Kind::None)
        event.why = "no run comes of '" + event.name + "'";
    else if (isTrue(request, {"draft"}))
        nothing(event, "the pull request is a draft");
}

void readGithub(ForgeEvent& event, const HookHeaders& headers, const Value& body)
{
    event.name = shownName(header(headers, "x-github-event"));
    event.delivery = header(headers, "x-github-delivery");
    event.sender = text(body, {"sender", "login"});
    addRepository(event, at(body, {"repository"}), {"clone_url", "ssh_url", "html_url"});
    if (event.name == "push")
        readPush(event, body);
    else if (event.name == "pull_request")
        readPullRequest(event, body);
    else
        nothing(event, event.name == "ping" ? "it is a test of the connection"
                                            : "no run comes of '" + event.name + "'");
}

void readGitea(ForgeEvent& event, const HookHeaders& headers, const Value& body)
{
    event.name = shownName(header(headers, "x-gitea-event"));
    event.delivery = header(headers, "x-gitea-delivery");
    event.sender = text(body, {"sender", "login"});
    addRepository(event, at(body, {"repository"}), {"clone_url", "ssh_url", "html_url"});
    if (event.name == "push")
        readPush(event, body);
    else if (event.name == "pull_request" || event.name == "pull_request_sync")
        readPullRequest(event, body);
    else
        nothing(event, "no run comes of '" + event.name + "'");
}

void readMergeRequest(ForgeEvent& event, const Value& body)
{
    const Value& request = at(body, {"object_attributes"});
    const std::string action = shownName(text(request, {"action"}));
    event.name += " " + action;
    const bool ready = at(body, {"changes", "draft", "current"}).IsBool() &&
                       !isTrue(body, {"changes", "draft", "current"});
    if (action == "open" || action == "reopen" || (action == "update" && ready))
        event.kind = Kind::PullRequestOpened;
    else if (action == "update" && !text(request, {"oldrev"}).empty())
        event.kind = Kind::PullRequestUpdated;
    event.pullNumber = number(request, {"iid"});
    event.branch = text(request, {"source_branch"});
    event.base = text(request, {"target_branch"});
    event.commit = text(request, {"last_commit", "id"});
    event.message = text(request, {"last_commit", "message"});
    event.committer = person(at(request, {"last_commit", "author"}));
    const auto source = number(request, {"source_project_id"});
    event.fork = !source || source != number(request, {"target_project_id"});
    if (event.kind == Kind::None)
        event.why = action == "update" ? "the merge request has no new commits"
                                       : "no run comes of '" + event.name + "'";
    else if (isTrue(request, {"draft"}) || isTrue(request, {"work_in_progress"}))
        nothing(event, "the merge request is a draft");
    else if (text(request, {"title"}).find("[skip ci]") != std::string::npos)
        event.message = text(request, {"title"});
}

std::string digestOf(const std::string& body)
{
    Sha256 digest;
    digest.update(body);
    return toHex(digest.digest());
}

void readGitlab(ForgeEvent& event, const HookHeaders& headers, const Value& body,
                const std::string& bytes)
{
    event.name = shownName(header(headers, "x-gitlab-event"));
    event.delivery = header(headers, "idempotency-key");
    // Older GitLabs send no key, and several events of one push may share the UUID.
    const std::string uuid = header(headers, "x-gitlab-event-uuid");
    if (event.delivery.empty() && !uuid.empty())
        event.delivery = fittedText(uuid, longestUuid) + ":" + digestOf(bytes);
    event.sender = text(body, {"user_username"});
    if (event.sender.empty())
        event.sender = text(body, {"user", "username"});
    addRepository(event, at(body, {"project"}), {"git_http_url", "git_ssh_url", "web_url"});
    const std::string kind = text(body, {"object_kind"});
    if (kind == "merge_request")
        return readMergeRequest(event, body);
    if (kind != "push" && kind != "tag_push")
        return nothing(event, "no run comes of '" + event.name + "'");
    const std::string checkout = text(body, {"checkout_sha"});
    readRef(event, text(body, {"ref"}), checkout, isNone(text(body, {"after"})));
    event.committer = text(body, {"user_name"});
    const Value& commits = at(body, {"commits"});
    for (rapidjson::SizeType i = 0; commits.IsArray() && i < commits.Size(); ++i)
        if (text(commits[i], {"id"}) == checkout)
        {
            event.message = text(commits[i], {"message"});
            event.committer = person(at(commits[i], {"author"}));
        }
}

bool asksToSkip(const std::string& message)
{
    for (const char* word : {"[skip ci]", "[ci skip]", "[no ci]"})
        if (message.find(word) != std::string::npos)
            return true;
    return false;
}

} // namespace

ForgeEvent eventOf(Forge forge, const HookHeaders& headers, const std::string& body)
{
    rapidjson::Document document;
    // RapidJSON's own check of UTF-8 reads past the end of a text that ends within a character.
    if (!isUtf8(body) ||
        document.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size()).HasParseError() ||
        !document.IsObject())
        throw std::runtime_error("the body is no JSON object");
    ForgeEvent event;
    switch (forge)
    {
    case Forge::Github:
        readGithub(event, headers, document);
        break;
    case Forge::Gitlab:
        readGitlab(event, headers, document, body);
        break;
    case Forge::Gitea:
        readGitea(event, headers, document);
        break;
    }
    if (event.name.empty())
        throw std::runtime_error("a header that names the event is missing: it is no delivery of " +
                                 std::string(toString(forge)));
    if (event.kind != Kind::None && asksToSkip(event.message))
        nothing(event, "the commit asks for none: [skip ci]");
    return event;
}

} // namespace agent
