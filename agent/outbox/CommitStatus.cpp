#include "agent/outbox/CommitStatus.h"

#include "agent/model/RepositoryName.h"
#include "agent/outbox/ReportBody.h"

#include <Poco/String.h>
#include <Poco/URI.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <map>

namespace agent
{

namespace
{

/// GitHub takes 140 characters, GitLab 255.
constexpr std::size_t longestDescription = 140;

/// GitHub asks for at least a minute where it does not say how long.
constexpr std::int64_t unsaidLimitMs = 60'000;

/// How a run or stage stands, finer than its status: forges tell what failed from what could not be tried.
enum class Standing
{
    Waiting,
    Running,
    Passed,
    Failed,
    Broken,   ///< no fault of the commit
    Cancelled ///< by a person, or by what came after it
};

bool isOneOf(const std::string& text, std::initializer_list<const char*> all)
{
    return std::find(all.begin(), all.end(), text) != all.end();
}

Standing standingOf(const std::string& status, const std::string& cause)
{
    if (status == "SUCCESS")
        return Standing::Passed;
    if (status == "IN_PROGRESS")
        return Standing::Running;
    if (status != "FAILURE")
        return Standing::Waiting;
    if (isOneOf(cause, {"STOPPED", "SUPERSEDED", "REJECTED", "EXPIRED"}))
        return Standing::Cancelled;
    return isOneOf(cause, {"PLUGIN_MISSING", "PLUGIN_ERROR", "SPAWN_ERROR", "SHIM_LOST",
                           "HOST_REBOOT", "DISK_FULL"})
               ? Standing::Broken
               : Standing::Failed;
}

const char* stateFor(const std::string& type, Standing standing)
{
    const bool gitlab = type == "gitlab";
    switch (standing)
    {
    case Standing::Running:
        return gitlab ? "running" : "pending";
    case Standing::Passed:
        return "success";
    case Standing::Failed:
        return gitlab ? "failed" : "failure";
    case Standing::Broken:
        return gitlab ? "failed" : "error";
    case Standing::Cancelled:
        return gitlab ? "canceled" : "error";
    case Standing::Waiting:
        break;
    }
    return "pending";
}

std::string lengthOf(const std::string& word, const rapidjson::Value& seconds)
{
    if (!seconds.IsInt64())
        return "";
    const std::int64_t all = seconds.GetInt64();
    const std::string rest = std::to_string(all % 60) + "s";
    if (all < 60)
        return " " + word + " " + rest;
    const std::int64_t minutes = all / 60;
    return minutes < 60 ? " " + word + " " + std::to_string(minutes) + "m " + rest
                        : " " + word + " " + std::to_string(minutes / 60) + "h " +
                              std::to_string(minutes % 60) + "m";
}

/// What a cause means, behind the name of a stage and a colon.
std::string causeWords(const std::string& cause)
{
    static const std::map<std::string, std::string> words{
        {"TIMEOUT", "time limit exceeded"},
        {"SILENT", "no output for too long"},
        {"STOPPED", "stopped"},
        {"SUPERSEDED", "superseded by a newer run"},
        {"REJECTED", "not approved"},
        {"EXPIRED", "not approved in time"},
        {"OPERATOR", "ended by an operator"},
        {"OOM", "out of memory"},
        {"DISK_FULL", "the disk was full"},
        {"PLUGIN_MISSING", "plugin not installed"},
        {"SPAWN_ERROR", "could not be started"},
        {"SHIM_LOST", "its shim was lost"},
        {"HOST_REBOOT", "the host rebooted"}};
    const auto found = words.find(cause);
    return found == words.end() ? "failed" : found->second;
}

std::string nameOf(const rapidjson::Value& stage)
{
    if (!stage.IsObject())
        return "";
    for (const char* key : {"name", "type"})
        if (const auto value = stage.FindMember(key); value != stage.MemberEnd() &&
                                                      value->value.IsString() &&
                                                      value->value.GetStringLength() > 0)
            return value->value.GetString();
    return "";
}

std::string description(const ReportBody& body, const char* subject, const std::string& status,
                        const std::string& cause)
{
    if (status == "SUCCESS")
        return cause == "SKIPPED" ? "skipped"
                                  : "passed" + lengthOf("in", body.at({subject, "duration"}));
    if (status == "IN_PROGRESS")
        return "running";
    if (status == "AWAITING_APPROVAL")
        return "waits for an approval";
    if (status != "FAILURE")
        return "queued";
    const std::string failed = subject == std::string("run")
                                   ? nameOf(body.at({"run", "failedStage"}))
                                   : nameOf(body.at({"stage"}));
    const rapidjson::Value& code = body.at({subject, "exitCode"});
    return (failed.empty() ? "" : failed + ": ") + causeWords(cause) +
           (cause == "EXIT" && code.IsInt() ? " with exit code " + std::to_string(code.GetInt())
                                            : "") +
           lengthOf("after", body.at({subject, "duration"}));
}

/// At most so many bytes, and no part of a character.
std::string shortened(std::string text, std::size_t most)
{
    if (text.size() <= most)
        return text;
    std::size_t end = most - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return text.substr(0, end) + "...";
}

bool isCommit(const std::string& text)
{
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string encoded(const std::string& text, const std::string& also = "")
{
    std::string result;
    Poco::URI::encode(text, "?#%&+;=@:'\"<>[]{}|\\^`" + also, result);
    return result;
}

/// Returns where the forge has the repository's statuses; empty where it is no repository of this forge.
std::string statusPath(const TargetSpec& target, const std::string& repository,
                       const std::string& commit)
{
    const std::string whole = repositoryName(repository);
    const std::size_t slash = whole.find('/');
    if (slash == std::string::npos || slash == 0)
        return "";
    const auto hosts = target.repositoryHosts();
    if (std::find(hosts.begin(), hosts.end(), whole.substr(0, slash)) == hosts.end())
        return "";
    std::string path = whole.substr(slash + 1);
    std::string base = Poco::URI(target.url).getPath();
    while (base.ends_with('/'))
        base.pop_back();
    // A forge below a path of its host, such as https://git.example.org/gitlab/api/v4.
    if (const std::size_t api = base.find("/api/"); api != std::string::npos && api > 0)
        if (const std::string below = base.substr(1, api); path.starts_with(below))
            path.erase(0, below.size());
    if (path.find('/') == std::string::npos)
        return "";
    if (target.type == "gitlab")
        return base + "/projects/" + encoded(path, "/") + "/statuses/" + commit;
    return base + "/repos/" + encoded(path) + "/statuses/" + commit;
}

/// A forge's 410 is about one repository, never about the target. GitLab refuses what it has already, which a report that
/// is sent again is. GitHub's limits are 403, sometimes without a header.
Reply judged(const std::string& type, Reply reply, int status, const std::string& body)
{
    if (reply.kind == Reply::Kind::Gone)
        reply.kind = Reply::Kind::Refused;
    if (status >= 300 && status < 400)
    {
        reply.kind = Reply::Kind::Refused;
        reply.text += ", the repository has moved: correct `repository` of the service";
    }
    if (type == "gitlab" && status == 400 && body.find("Cannot transition status") != body.npos)
        reply.kind = Reply::Kind::Confirmed;
    if (type == "github" && status == 403 && reply.kind == Reply::Kind::Refused &&
        Poco::toLower(body).find("rate limit") != std::string::npos)
    {
        reply.kind = Reply::Kind::Failed;
        reply.waitMs = unsaidLimitMs;
    }
    return reply;
}

} // namespace

bool isForge(const std::string& type)
{
    return type == "github" || type == "gitlab" || type == "gitea";
}

std::optional<TargetRequest> statusRequest(const TargetSpec& target, const Report& report)
{
    const ReportBody body(report);
    const std::string commit = body.text({"run", "commitHash"});
    const std::string path =
        isCommit(commit) ? statusPath(target, body.text({"repository"}), commit) : "";
    if (path.empty())
        return std::nullopt;
    const char* subject = target.perStage ? "stage" : "run";
    const std::string status = body.text({subject, "status"});
    const std::string cause = body.text({subject, "cause"});
    std::string context = "stage-agent";
    if (const std::string service = body.text({"run", "serviceName"}); !service.empty())
        context += "/" + service;
    if (target.perStage)
        context += "/" + nameOf(body.at({"stage"}));

    rapidjson::StringBuffer text;
    rapidjson::Writer out(text);
    const auto put = [&](const char* key, const std::string& value)
    {
        out.Key(key);
        out.String(value.c_str(), static_cast<rapidjson::SizeType>(value.size()));
    };
    out.StartObject();
    put("state", stateFor(target.type, standingOf(status, cause)));
    put("context", context);
    put("description", shortened(description(body, subject, status, cause), longestDescription));
    put("target_url", body.text({"runUrl"}));
    if (const std::string branch = body.text({"run", "branch"});
        target.type == "gitlab" && !branch.empty())
        put("ref", branch);
    out.EndObject();

    TargetRequest request{
        .path = path,
        .contentType = "application/json",
        .headers = {},
        .body = text.GetString(),
        .subject = commit + " " + context,
        .of = body.text({"run", "createdAt"}),
        .judge = [type = target.type](Reply reply, int code, const std::string& answer)
        { return judged(type, std::move(reply), code, answer); }};
    if (target.type == "github")
        request.headers = {{"Accept", "application/vnd.github+json"},
                           {"X-GitHub-Api-Version", "2022-11-28"},
                           {"Authorization", "Bearer " + target.token}};
    else if (target.type == "gitlab")
        request.headers = {{"PRIVATE-TOKEN", target.token}};
    else
        request.headers = {{"Authorization", "token " + target.token}};
    return request;
}

} // namespace agent
