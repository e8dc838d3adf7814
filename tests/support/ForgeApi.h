#pragma once

#include "tests/support/Receiver.h"

#include <rapidjson/document.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace agent::test
{

/// The commit statuses of a forge on loopback, as its public documentation describes them: who may, what it takes, what
/// it answers. It has the repository acme/payment.
class ForgeApi
{
public:
    struct CommitStatus
    {
        std::string commit;
        std::string context;
        std::string state;
        std::string description;
        std::string link;
    };

    static constexpr const char* token = "forge-token-of-the-test";

    /// `trouble`: the status to answer with instead; 0: none.
    explicit ForgeApi(
        std::string type,
        std::function<int(const Received&)> trouble = [](const Received&) { return 0; })
        : _type(std::move(type)),
          _trouble(std::move(trouble)),
          receiver([this](const Received& one) { return take(one); })
    {
        receiver.bodies[400] =
            R"-({"message":"Cannot transition status via :run from :running (Reason(s): ...)"})-";
    }

    [[nodiscard]] std::string url() const
    {
        return receiver.url(_type == "github" ? "" : _type == "gitlab" ? "/api/v4" : "/api/v1");
    }

    /// What it shows, in the order in which it came.
    [[nodiscard]] std::vector<CommitStatus> shown() const
    {
        const std::lock_guard lock(_mutex);
        return _shown;
    }

    /// The states of a context in their order, without repetitions: `pending success`.
    [[nodiscard]] std::string states(const std::string& context) const
    {
        std::string all;
        std::string last;
        for (const auto& one : shown())
            if (one.context == context && one.state != last)
            {
                last = one.state;
                all += (all.empty() ? "" : " ") + last;
            }
        return all;
    }

private:
    int take(const Received& one)
    {
        if (const int status = _trouble(one); status != 0)
            return status;
        const auto has = [&](const char* name, const std::string& value)
        { return one.headers.contains(name) && one.headers.at(name) == value; };
        const bool known =
            _type == "github" ? has("authorization", std::string("Bearer ") + token) &&
                                    one.headers.contains("user-agent")
            : _type == "gitlab" ? has("private-token", token)
                                : has("authorization", std::string("token ") + token);
        if (!known)
            return 401;
        const std::string before = _type == "github"   ? "/repos/acme/payment/statuses/"
                                   : _type == "gitlab" ? "/api/v4/projects/acme%2Fpayment/statuses/"
                                                       : "/api/v1/repos/acme/payment/statuses/";
        if (!one.path.starts_with(before))
            return 404;
        rapidjson::Document body;
        body.Parse(one.body.data(), one.body.size());
        if (!has("content-type", "application/json") || !body.IsObject())
            return 415;
        const auto text = [&](const char* key)
        { return body.HasMember(key) && body[key].IsString() ? body[key].GetString() : ""; };
        CommitStatus status{.commit = one.path.substr(before.size()),
                            .context = text("context"),
                            .state = text("state"),
                            .description = text("description"),
                            .link = text("target_url")};
        static const std::map<std::string, std::set<std::string>> states{
            {"github", {"error", "failure", "pending", "success"}},
            {"gitlab", {"pending", "running", "success", "failed", "canceled"}},
            {"gitea", {"pending", "success", "error", "failure", "warning"}}};
        if (!states.at(_type).contains(status.state) || status.description.size() > 140)
            return 422;
        const std::lock_guard lock(_mutex);
        std::string& last = _last[status.commit + status.context];
        const bool open = last == "pending" || last == "running";
        if (_type == "gitlab" && open &&
            (last == status.state || (last == "running" && status.state == "pending")))
            return 400;
        last = status.state;
        _shown.push_back(std::move(status));
        return 201;
    }

    const std::string _type;
    const std::function<int(const Received&)> _trouble;
    mutable std::mutex _mutex;
    std::vector<CommitStatus> _shown;         // guarded by _mutex
    std::map<std::string, std::string> _last; // guarded by _mutex: by commit and context

public:
    Receiver receiver; ///< last: it answers as soon as it is there
};

} // namespace agent::test
