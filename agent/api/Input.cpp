#include "agent/api/Json.h"
#include "agent/model/Declined.h"
#include "agent/model/Utf8.h"

#include "agent/run/InputRules.h"
#include "agent/run/RunPipeline.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <limits>
#include <set>

namespace agent
{

namespace
{

using rapidjson::Document;
using rapidjson::Value;

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

/// Deep nesting would use up the stack where a value is copied out; nothing of ours needs it.
void checkDepth(const std::string& text)
{
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i)
    {
        if (quoted)
        {
            if (text[i] == '\\')
                ++i;
            else if (text[i] == '"')
                quoted = false;
        }
        else if (text[i] == '"')
            quoted = true;
        else if ((text[i] == '{' || text[i] == '[') && ++depth > 64)
            throw Declined(Declined::Kind::Invalid, "malformed_json",
                           "the body is nested deeper than 64");
        else if (text[i] == '}' || text[i] == ']')
            --depth;
    }
}

/// An object whose keys are all among `known`, none twice.
Document parse(const std::string& body, const std::set<std::string>& known)
{
    // Before RapidJSON sees it: that stops at a NUL, and its own check of UTF-8 reads past the end of a text
    // that ends within a character.
    if (!isUtf8(body) || body.find('\0') != std::string::npos)
        throw Declined(Declined::Kind::Invalid, "malformed_json",
                       "the body is no JSON: it is no UTF-8, or holds a NUL");
    checkDepth(body);
    Document document;
    // Not with full precision: then RapidJSON 1.1 makes any number of a zero with many digits (0e-30).
    document.Parse<rapidjson::kParseIterativeFlag>(body);
    if (document.HasParseError())
        throw Declined(Declined::Kind::Invalid, "malformed_json",
                       std::string("the body is no JSON: ") +
                           rapidjson::GetParseError_En(document.GetParseError()) + " At byte " +
                           std::to_string(document.GetErrorOffset()));
    if (!document.IsObject())
        throw Declined(Declined::Kind::Invalid, "malformed_json", "the body is no JSON object");
    std::set<std::string> seen;
    for (const auto& member : document.GetObject())
    {
        const std::string key(member.name.GetString(), member.name.GetStringLength());
        if (!known.contains(key))
            throw Declined(Declined::Kind::Invalid, "unknown_key",
                           "'" + key + "' can't be set here", key);
        if (!seen.insert(key).second)
            throw invalid(key, "'" + key + "' is given twice");
    }
    return document;
}

std::optional<std::string> text(const Document& document, const char* key, std::size_t maxBytes)
{
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd())
        return std::nullopt;
    if (!member->value.IsString())
        throw invalid(key, std::string("'") + key + "' must be a string");
    std::string value(member->value.GetString(), member->value.GetStringLength());
    if (const auto problem = textProblem(value, maxBytes); !problem.empty())
        throw invalid(key, std::string("'") + key + "' " + problem);
    return value;
}

std::optional<std::int64_t> whole(const Document& document, const char* key, std::int64_t least,
                                  std::int64_t most)
{
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd())
        return std::nullopt;
    if (!member->value.IsInt64() || member->value.GetInt64() < least ||
        member->value.GetInt64() > most)
        throw invalid(key, std::string("'") + key + "' must be a whole number from " +
                               std::to_string(least) + " to " + std::to_string(most));
    return member->value.GetInt64();
}

std::optional<std::int64_t> pullNumber(const Document& document)
{
    return whole(document, "pullNumber", 0, std::numeric_limits<std::int32_t>::max());
}

std::optional<std::int64_t> priority(const Document& document)
{
    constexpr std::int64_t most = 1'000'000;
    return whole(document, "priority", -most, most);
}

std::optional<TimeMs> time(const Document& document, const char* key, Zone zone = Zone::Utc)
{
    const auto given = text(document, key, bounds::name);
    if (!given)
        return std::nullopt;
    const auto value = parseTime(*given, zone);
    if (!value)
        throw invalid(key, std::string("'") + key + "' must be a time" +
                               (zone == Zone::Utc ? " in UTC" : "") +
                               " such as 2023-03-20T17:17:13.760Z");
    return value;
}

bool isTrue(const Document& document, const char* key)
{
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd())
        return false;
    if (!member->value.IsBool())
        throw invalid(key, std::string("'") + key + "' must be true or false");
    return member->value.GetBool();
}

std::string branchOf(const Document& document, const char* key)
{
    auto branch = text(document, key, bounds::name).value_or("");
    if (const auto problem = branch.empty() ? "" : branchProblem(branch); !problem.empty())
        throw invalid(key, problem);
    return branch;
}

/// Whether the run is one of a fork, which gets another branch then: docs/secrets.md.
std::optional<Fork> forkOf(const Document& document, Submission& submission)
{
    Fork fork{.base = branchOf(document, "baseBranch")};
    if (!isTrue(document, "fork"))
        return std::nullopt;
    if (submission.commit.empty())
        throw invalid("commit", "a run of a fork needs the commit of its pull request");
    if (!submission.pullNumber)
        throw invalid("pullNumber", "a run of a fork needs the number of its pull request");
    submission.branch = branchOfFork(*submission.pullNumber);
    return fork;
}

/// Patterns of services' names; none when the key is absent.
std::vector<std::string> patterns(const Document& document, const char* key)
{
    constexpr rapidjson::SizeType most = 64;
    std::vector<std::string> found;
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd())
        return found;
    if (!member->value.IsArray() || member->value.Size() > most)
        throw invalid(key, std::string("'") + key + "' must be a list of at most 64 patterns");
    for (const auto& item : member->value.GetArray())
    {
        const std::string pattern = item.IsString() ? item.GetString() : "";
        if (const auto problem = problemOfPattern(pattern); !problem.empty())
            throw invalid(key, problem);
        found.push_back(pattern);
    }
    return found;
}

std::optional<TriggerType> trigger(const Document& document)
{
    const auto given = text(document, "triggerType", bounds::name);
    if (!given)
        return std::nullopt;
    const auto value = triggerTypeFrom(*given);
    if (!value)
        throw invalid("triggerType", "triggerType must be MAIN, PR_OPEN, PR_SYNC or MANUAL");
    return value;
}

std::string commitOf(const Document& document, const char* key)
{
    std::string commit = text(document, key, bounds::name).value_or("");
    if (const auto problem = commitProblem(commit); !problem.empty())
        throw invalid(key, std::string("'") + key + "' " + problem);
    return commit;
}

std::map<std::string, std::string> environment(const Document& document)
{
    std::map<std::string, std::string> env;
    const auto member = document.FindMember("env");
    if (member == document.MemberEnd())
        return env;
    if (!member->value.IsObject())
        throw invalid("env", "'env' must be an object of strings");
    if (member->value.MemberCount() > bounds::variables)
        throw invalid("env", "'env' must not hold more than " + std::to_string(bounds::variables) +
                                 " variables");
    std::size_t size = 0;
    for (const auto& entry : member->value.GetObject())
    {
        const std::string name(entry.name.GetString(), entry.name.GetStringLength());
        const std::string field = "env." + name;
        if (const auto problem = environmentProblem(name); !problem.empty())
            throw invalid(field, problem);
        if (!entry.value.IsString())
            throw invalid(field, "its value must be a string");
        const std::string value(entry.value.GetString(), entry.value.GetStringLength());
        if (const auto problem = environmentValueProblem(value); !problem.empty())
            throw invalid(field, "its value " + problem);
        if (name.size() + value.size() > bounds::variable)
            throw invalid(field, "name and value must not be longer than " +
                                     std::to_string(bounds::variable) + " bytes together");
        size += name.size() + value.size();
        if (!env.emplace(name, value).second)
            throw invalid(field, "is given twice");
    }
    if (size > bounds::variablesSize)
        throw invalid("env", "'env' must not be longer than " +
                                 std::to_string(bounds::variablesSize) + " bytes, and has " +
                                 std::to_string(size));
    return env;
}

Labels labels(const Document& document)
{
    Labels labels;
    const auto member = document.FindMember("labels");
    if (member == document.MemberEnd())
        return labels;
    if (!member->value.IsObject() || member->value.MemberCount() > bounds::labels)
        throw invalid("labels", "'labels' must be an object of at most " +
                                    std::to_string(bounds::labels) + " strings");
    for (const auto& entry : member->value.GetObject())
    {
        const std::string key(entry.name.GetString(), entry.name.GetStringLength());
        if (const auto problem = labelKeyProblem(key); !problem.empty())
            throw invalid("labels." + key, "the key of a label " + problem);
        if (!entry.value.IsString())
            throw invalid("labels." + key, "its value must be a string");
        const std::string value(entry.value.GetString(), entry.value.GetStringLength());
        if (const auto problem = labelValueProblem(value); !problem.empty())
            throw invalid("labels." + key, "its value " + problem);
        if (!labels.emplace(key, value).second)
            throw invalid("labels." + key, "is given twice");
    }
    return labels;
}

} // namespace

Token tokenFrom(const std::string& body)
{
    const Document document = parse(body, {"name", "role", "services", "expiresAt", "proxy"});
    Token token;
    token.name = text(document, "name", bounds::name).value_or("");
    if (const auto problem = problemOfTokenName(token.name); !problem.empty())
        throw invalid("name", problem);
    const auto role = roleFrom(text(document, "role", bounds::name).value_or(""));
    if (!role)
        throw invalid("role", "role must be read, run, operate or admin");
    token.role = *role;
    token.services = patterns(document, "services");
    if (token.role == Role::Admin && !token.services.empty())
        throw invalid("services", "an admin token can't be narrowed to services");
    token.expiresAt = time(document, "expiresAt", Zone::Any);
    token.proxy = isTrue(document, "proxy");
    return token;
}

std::string codeFrom(const std::string& body)
{
    const Document document = parse(body, {"code"});
    constexpr std::size_t longest = 128;
    const auto code = text(document, "code", longest);
    if (!code)
        throw invalid("code", "'code' is missing");
    return *code;
}

StagePatch stagePatchFrom(const std::string& body)
{
    const Document document = parse(body, {"status", "startedAt", "endedAt", "duration", "reason"});
    StagePatch patch;
    if (const auto status = text(document, "status", bounds::name))
    {
        patch.status = statusFrom(*status);
        if (!patch.status)
            throw invalid("status", "status must be IDLE, IN_PROGRESS, AWAITING_APPROVAL, SUCCESS "
                                    "or FAILURE, not '" +
                                        *status + "'");
    }
    patch.startedAt = time(document, "startedAt");
    patch.endedAt = time(document, "endedAt");
    patch.durationSeconds = whole(document, "duration", 0, 1'000'000'000'000);
    patch.reason = text(document, "reason", bounds::reason).value_or("");
    return patch;
}

RunPatch runPatchFrom(const std::string& body)
{
    const Document document = parse(body, {"commitHash", "commitMessage", "committer", "pullNumber",
                                           "triggerType", "priority", "kept"});
    RunPatch patch;
    if (document.HasMember("commitHash"))
        patch.commitHash = commitOf(document, "commitHash");
    patch.commitMessage = text(document, "commitMessage", bounds::commitMessage);
    patch.committer = text(document, "committer", bounds::committer);
    patch.pullNumber = pullNumber(document);
    patch.trigger = trigger(document);
    patch.priority = priority(document);
    if (document.HasMember("kept"))
        patch.kept = isTrue(document, "kept");
    return patch;
}

RunRequest runRequestFrom(const std::string& body)
{
    const Document document = parse(body, {"service", "pipeline", "commit", "branch", "triggerType",
                                           "pullNumber", "commitMessage", "committer", "env",
                                           "priority", "labels", "fork", "baseBranch"});
    RunRequest request;
    request.service = text(document, "service", bounds::name).value_or("");
    if (const auto pipeline = document.FindMember("pipeline"); pipeline != document.MemberEnd())
    {
        if (!pipeline->value.IsObject())
            throw invalid("pipeline", "'pipeline' must be an object");
        std::vector<Problem> problems;
        const auto tree = documentOf(pipeline->value, problems);
        request.pipeline = parsePipeline(tree, std::move(problems));
    }
    auto& submission = request.submission;
    submission.commit = commitOf(document, "commit");
    submission.branch = branchOf(document, "branch");
    submission.commitMessage = text(document, "commitMessage", bounds::commitMessage).value_or("");
    submission.committer = text(document, "committer", bounds::committer).value_or("");
    submission.trigger = trigger(document).value_or(TriggerType::Manual);
    submission.pullNumber = pullNumber(document);
    submission.priority = priority(document).value_or(0);
    submission.labels = labels(document);
    request.env = environment(document);
    request.fork = forkOf(document, submission);
    return request;
}

} // namespace agent
