#pragma once

#include "tests/support/Receiver.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace agent::test
{

/// The inbound calls of the seamless orchestrator on loopback, as measured on it: what it takes, what it answers, and how
/// it sorts the lines of a log.
class Orchestrator
{
public:
    /// `trouble`: the status to answer with instead; 0: none.
    explicit Orchestrator(std::function<int(const Received&)> trouble = [](const Received&)
                          { return 0; })
        : _trouble(std::move(trouble)), receiver([this](const Received& one) { return take(one); })
    {
    }

    [[nodiscard]] std::string url() const { return receiver.url(""); }

    /// The status of a run, or of one of its stages by its key; empty: it was not told.
    [[nodiscard]] std::string status(const std::string& run, const std::string& stage = "run") const
    {
        const std::lock_guard lock(_mutex);
        const auto found = _status.find(run + stage);
        return found == _status.end() ? "" : found->second;
    }

    /// Its id of a stage.
    [[nodiscard]] std::string idOf(const std::string& run, const std::string& stage) const
    {
        const std::lock_guard lock(_mutex);
        const auto found = _ids.find(run + stage);
        return found == _ids.end() ? "" : found->second;
    }

    /// All statuses of a run that were told, without repetitions.
    [[nodiscard]] std::string story(const std::string& run) const
    {
        const std::lock_guard lock(_mutex);
        const auto found = _story.find(run);
        return found == _story.end() ? "" : found->second;
    }

    /// The log of a stage as a browser gets it: sorted by score, then by the JSON text; the same id and content once.
    [[nodiscard]] std::vector<std::string> log(const std::string& stage) const
    {
        const std::lock_guard lock(_mutex);
        std::vector<std::string> messages;
        const auto found = _lines.find(stage);
        if (found != _lines.end())
            for (const auto& [place, message] : found->second)
                messages.push_back(message);
        return messages;
    }

    /// The task tokens of the runs that wait for an approval.
    [[nodiscard]] std::map<std::string, std::string> approvals() const
    {
        const std::lock_guard lock(_mutex);
        return _approvals;
    }

    /// What was sent that ends the process of the orchestrator, or that it does not take; empty: nothing.
    [[nodiscard]] std::string wrong() const
    {
        const std::lock_guard lock(_mutex);
        return _wrong;
    }

private:
    int refuse(const Received& one, int status)
    {
        _wrong += std::to_string(status) + " " + one.path + " " + one.body.substr(0, 500) + "\n";
        return status;
    }

    static bool isText(const rapidjson::Value& value, const char* key)
    {
        return value.IsObject() && value.HasMember(key) && value[key].IsString();
    }

    int take(const Received& one)
    {
        if (const int status = _trouble(one); status != 0)
            return status;
        const std::lock_guard lock(_mutex);
        if (one.body.size() > 100'000)
            return refuse(one, 413);
        rapidjson::Document body;
        body.Parse(one.body.data(), one.body.size());
        if (!body.IsObject() || one.headers.at("content-type") != "application/json")
            return refuse(one, 400);
        if (one.path == "/internal/status-updates")
            return takeStatus(one, body);
        if (one.path == "/internal/log-updates")
            return takeLine(one, body);
        if (one.path != "/internal/status-updates/wait-for-approval")
            return refuse(one, 404);
        if (!isText(body, "taskToken") || !isText(body, "runId"))
            return refuse(one, 400);
        _approvals[body["runId"].GetString()] = body["taskToken"].GetString();
        return 200;
    }

    int takeStatus(const Received& one, const rapidjson::Value& body)
    {
        static const std::set<std::string> statuses{"IDLE", "IN_PROGRESS", "AWAITING_APPROVAL",
                                                    "SUCCESS", "FAILURE"};
        const auto fits = [&](const rapidjson::Value& value)
        {
            return isText(value, "id") && isText(value, "status") &&
                   statuses.contains(value["status"].GetString());
        };
        if (!body.HasMember("run") || !fits(body["run"]) || !body.HasMember("stages") ||
            !body["stages"].IsObject())
            return refuse(one, 400);
        const rapidjson::Value& stages = body["stages"];
        for (const char* key : {"prepare", "codeQuality", "unitTest", "build", "deployProduction"})
            if (!stages.HasMember(key))
                return refuse(one, 400);
        const std::string run = body["run"]["id"].GetString();
        for (const auto& stage : stages.GetObject())
        {
            if (!fits(stage.value))
                return refuse(one, 400);
            _status[run + stage.name.GetString()] = stage.value["status"].GetString();
            std::string& id = _ids[run + stage.name.GetString()];
            if (!id.empty() && id != stage.value["id"].GetString())
                return refuse(one, 400);
            id = stage.value["id"].GetString();
        }
        std::string& status = _status[run + "run"];
        if (status != body["run"]["status"].GetString())
            _story[run] +=
                (status.empty() ? "" : " ") + std::string(body["run"]["status"].GetString());
        status = body["run"]["status"].GetString();
        return 200;
    }

    int takeLine(const Received& one, const rapidjson::Value& body)
    {
        for (const char* key : {"id", "message", "timestamp", "type", "stageId"})
            if (!isText(body, key))
                return refuse(one, 400);
        if (!body.HasMember("score") || !body["score"].IsInt64() ||
            !std::string(body["timestamp"].GetString()).ends_with('Z'))
            return refuse(one, 400);
        _lines[body["stageId"].GetString()][{body["score"].GetInt64(), one.body}] =
            std::string(body["message"].GetString(), body["message"].GetStringLength());
        return 200;
    }

    const std::function<int(const Received&)> _trouble;
    mutable std::mutex _mutex;
    // All guarded by _mutex.
    std::map<std::string, std::string> _status;
    std::map<std::string, std::string> _ids;
    std::map<std::string, std::string> _story;
    std::map<std::string, std::map<std::pair<std::int64_t, std::string>, std::string>> _lines;
    std::map<std::string, std::string> _approvals;
    std::string _wrong;

public:
    Receiver receiver; ///< last: it answers as soon as it is there
};

} // namespace agent::test
