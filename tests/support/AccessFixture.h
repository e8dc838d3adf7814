#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Records.h"
#include "tests/support/Stages.h"

#include <cppunit/TestAssert.h>

#include <map>
#include <string>

namespace agent::test
{

/// A daemon that asks for tokens, and callers with different ones.
class AccessFixture
{
protected:
    AccessFixture() { _daemon.set("auth.required", "true"); }

    /// Returns the file of a service with one stage.
    static std::string service(const std::string& name, const std::string& command = "true")
    {
        return "name: " + name + "\nstages:\n  - { type: BUILD, plugin: shell, with: { command: '" +
               command + "' } }\n";
    }

    static std::string bearer(const std::string& secret)
    {
        return "Authorization: Bearer " + secret + "\r\n";
    }

    static std::string codeOf(const Answer& answer)
    {
        return answer.json()["error"]["code"].GetString();
    }

    std::string admin() const
    {
        const std::string text = contentOf(_daemon.state() / "admin.token");
        return text.substr(0, text.find('\n'));
    }

    /// Sends the request with this token; empty: without one.
    Answer as(const std::string& secret, const std::string& method, const std::string& path,
              const std::string& body = "") const
    {
        return _daemon.request(method, path, body,
                               {{"Authorization", secret.empty() ? "" : "Bearer " + secret}});
    }

    std::string token(const std::string& name, const std::string& role,
                      const std::string& expires = "") const
    {
        const Answer made =
            as(admin(), "POST", "/api/tokens",
               R"({"name":")" + name + R"(","role":")" + role + "\"" +
                   (expires.empty() ? "" : R"(,"expiresAt":")" + expires + "\"") + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["token"].GetString();
    }

    std::string narrowed(const std::string& name, const std::string& role,
                         const std::string& pattern) const
    {
        const Answer made = as(admin(), "POST", "/api/tokens",
                               R"({"name":")" + name + R"(","role":")" + role +
                                   R"(","services":[")" + pattern + "\"]}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["token"].GetString();
    }

    std::string started(const std::string& secret, const std::string& name) const
    {
        const Answer made = as(secret, "POST", "/api/runs", R"({"service":")" + name + "\"}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    std::string inlineRun(const std::string& secret, const std::string& command = "true",
                          const std::string& person = "") const
    {
        std::map<std::string, std::string> headers{
            {"Authorization", secret.empty() ? "" : "Bearer " + secret}};
        if (!person.empty())
            headers["X-Forwarded-User"] = person;
        const Answer made =
            _daemon.request("POST", "/api/runs",
                            R"({"pipeline":{"stages":)" + listOf({shell(command)}) + "}}", headers);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    std::string stageOf(const std::string& run) const
    {
        return as(admin(), "GET", "/api/stages?runId=" + run).json()[0]["id"].GetString();
    }

    /// Who submitted the run.
    std::string actorOf(const std::string& run) const
    {
        return as(admin(), "GET", "/api/runs/" + run + "/history").json()[0]["actor"].GetString();
    }

    /// Waits until the run has succeeded, as the caller with this token sees it.
    void awaitSuccess(const std::string& secret, const std::string& run) const
    {
        waitFor("the run's end",
                [&]
                {
                    const Answer answer = as(secret, "GET", "/api/runs/" + run);
                    return std::string(answer.json()["status"].GetString()) == "SUCCESS";
                });
    }

    Daemon _daemon;
};

} // namespace agent::test
