#include "agent/outbox/Seamless.h"

#include "agent/os/Sha256.h"
#include "agent/outbox/ReportBody.h"

#include <Poco/URI.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <array>

namespace agent
{

namespace
{

struct Asked
{
    const char* type; ///< as the API names it
    const char* key;  ///< as the orchestrator does
    bool required;
};

constexpr std::array<Asked, 7> places{{{"PREPARE", "prepare", true},
                                       {"CODE_QUALITY", "codeQuality", true},
                                       {"UNIT_TEST", "unitTest", true},
                                       {"BUILD", "build", true},
                                       {"INTEGRATION_TEST", "integrationTest", false},
                                       {"DEPLOY_STAGING", "deployStaging", false},
                                       {"DEPLOY_PROD", "deployProduction", true}}};

struct StageStanding
{
    std::string id;
    std::string status;
};

std::string memberOf(const rapidjson::Value& object, const char* name)
{
    const auto found = object.FindMember(name);
    return found != object.MemberEnd() && found->value.IsString() ? found->value.GetString() : "";
}

/// An id for a stage that the run does not have: the same in each report. Of version 5, as UUIDs that are made of a name.
std::string idOfNone(const std::string& runId, const char* type)
{
    Sha256 digest;
    digest.update(runId);
    digest.update(type);
    std::string hex = toHex(digest.digest()).substr(0, 32);
    hex[12] = '5';
    hex[16] = 'a';
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20);
}

/// Of several stages of one type the first that has not passed stands for all, else the last.
StageStanding standingOf(const rapidjson::Value& stages, const char* type)
{
    StageStanding found;
    for (rapidjson::SizeType i = 0; stages.IsArray() && i < stages.Size(); ++i)
    {
        if (!stages[i].IsObject() || memberOf(stages[i], "type") != type)
            continue;
        if (found.id.empty() || found.status == "SUCCESS")
            found = {memberOf(stages[i], "id"), memberOf(stages[i], "status")};
    }
    return found;
}

TargetRequest requestTo(const TargetSpec& target, const char* address, std::string body)
{
    std::string path = Poco::URI(target.url).getPath();
    while (path.ends_with('/'))
        path.pop_back();
    TargetRequest request{.path = path + "/internal/" + address,
                          .contentType = "application/json",
                          .headers = {},
                          .body = std::move(body)};
    if (!target.token.empty())
        request.headers.emplace_back("Authorization", "Bearer " + target.token);
    return request;
}

void put(rapidjson::Writer<rapidjson::StringBuffer>& out, const char* key, const std::string& value)
{
    out.Key(key);
    out.String(value.c_str(), static_cast<rapidjson::SizeType>(value.size()));
}

} // namespace

std::vector<TargetRequest> seamlessRequests(const TargetSpec& target, const Report& report)
{
    const ReportBody body(report);
    const rapidjson::Value& stages = body.at({"stages"});
    const std::string status = body.text({"run", "status"});
    rapidjson::StringBuffer text;
    rapidjson::Writer out(text);
    out.StartObject();
    out.Key("run");
    out.StartObject();
    put(out, "id", report.runId);
    put(out, "status", status);
    out.EndObject();
    out.Key("stages");
    out.StartObject();
    for (const Asked& place : places)
    {
        StageStanding stage = standingOf(stages, place.type);
        if (stage.id.empty() && !place.required)
            continue;
        if (stage.id.empty())
            stage = {idOfNone(report.runId, place.type), "IDLE"};
        out.Key(place.key);
        out.StartObject();
        put(out, "id", stage.id);
        put(out, "status", stage.status);
        out.EndObject();
    }
    out.EndObject();
    out.EndObject();
    std::vector<TargetRequest> requests{requestTo(target, "status-updates", text.GetString())};

    if (report.event == reportEvents::stageChanged &&
        body.text({"stage", "status"}) == "AWAITING_APPROVAL")
    {
        rapidjson::StringBuffer asked;
        rapidjson::Writer question(asked);
        question.StartObject();
        put(question, "taskToken", body.text({"stage", "id"}));
        put(question, "runId", report.runId);
        question.EndObject();
        requests.push_back(
            requestTo(target, "status-updates/wait-for-approval", asked.GetString()));
    }
    return requests;
}

TargetRequest seamlessLogRequest(const TargetSpec& target, const std::string& body)
{
    return requestTo(target, "log-updates", body);
}

} // namespace agent
