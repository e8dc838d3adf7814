// What the documents promise, against the real daemon: README's curl examples, the configuration table, the
// API's description.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <Poco/RegularExpression.h>
#include <Poco/String.h>

#include <cppunit/extensions/HelperMacros.h>

#include <set>
#include <sstream>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::runProgram;

namespace
{

const std::filesystem::path source = STAGE_AGENT_SOURCE_DIR;

std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

/// The commands of the block behind `<!-- tested -->`; one may go over several lines.
std::vector<std::string> testedCommands(const std::string& document)
{
    const std::string mark = "<!-- tested -->\n```sh\n";
    const auto begin = document.find(mark);
    CPPUNIT_ASSERT(begin != std::string::npos);
    const auto end = document.find("```", begin + mark.size());
    std::istringstream lines(document.substr(begin + mark.size(), end - begin - mark.size()));
    std::vector<std::string> commands;
    for (std::string line; std::getline(lines, line);)
    {
        if (line.starts_with("#"))
            continue;
        if (line.starts_with(" "))
            commands.back() += "\n" + line;
        else
            commands.push_back(line);
    }
    return commands;
}

/// The groups of a match of the whole line, the first of them the line; empty when it is none.
std::vector<std::string> groupsOf(const std::string& line, const std::string& pattern)
{
    std::vector<std::string> groups;
    Poco::RegularExpression("^" + pattern + "$").split(line, groups);
    return groups;
}

std::set<std::string> routesOfTheProgram()
{
    std::istringstream lines(contentOf(source / "agent/api/Routes.cpp"));
    std::set<std::string> routes;
    for (std::string line; std::getline(lines, line);)
        if (const auto route = groupsOf(
                line,
                R"re( +\{"([A-Z]+)", \{([^}]*)\}, \w+, \w+(?:, Pace::\w+(?:, (?:\w+|\{[^}]*\}))?)?\},)re");
            !route.empty())
        {
            std::string path = replaced(replaced(route[2], ", ", "/"), "\"", "");
            path = replaced(replaced(path, ":id", "{id}"), ":name", "{name}");
            path = replaced(path, ":path", "{path}");
            routes.insert(std::string(route[1]).append(" /").append(path));
        }
    return routes;
}

std::set<std::string> routesOfTheDescription()
{
    std::istringstream lines(contentOf(source / "agent/api/openapi.yaml"));
    std::set<std::string> routes;
    std::string path;
    for (std::string line; std::getline(lines, line);)
    {
        if (const auto found = groupsOf(line, "  (/[^:]*):"); !found.empty())
            path = found[1];
        else if (const auto method = groupsOf(line, "    (get|post|patch|put|delete):");
                 !method.empty())
            routes.insert(Poco::toUpper(method[1]).append(" ").append(path));
    }
    return routes;
}

} // namespace

class ReadmeTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ReadmeTest);
    CPPUNIT_TEST(testCurlExamplesWorkAsPrinted);
    CPPUNIT_TEST(testEveryConfigurationKeyIsNamed);
    CPPUNIT_TEST(testDescriptionOfTheApiNamesEveryRoute);
    CPPUNIT_TEST(testDescriptionOfTheApiIsServed);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCurlExamplesWorkAsPrinted()
    {
        _daemon.writeService("hello", contentOf(source / "conf/services.d/hello.yaml.example"));
        _daemon.start();
        std::ofstream(_daemon.folder() / "header") << "Authorization: Bearer " << _daemon.token();
        const auto commands = testedCommands(contentOf(source / "README.md"));
        CPPUNIT_ASSERT(commands.size() > 15);
        for (const auto& command : commands)
        {
            std::string filled = replaced(command, "http://127.0.0.1:7824", _daemon.url());
            if (has(command, "RUN") || has(command, "STAGE"))
            {
                const std::string run = runFor(command);
                filled = replaced(filled, "STAGE", _daemon.stagesOf(run)[0]);
                filled = replaced(filled, "RUN", run);
            }
            const auto ended =
                runProgram({"/bin/bash", "-c",
                            "curl() { command curl -sS -w '\\n%{http_code}' \"$@\"; }\n" + filled},
                           _daemon.folder());
            CPPUNIT_ASSERT_EQUAL_MESSAGE(filled + ended.err, 0, ended.exitCode);
            const auto status = ended.out.rfind('\n');
            CPPUNIT_ASSERT_MESSAGE(filled + "\n" + ended.out,
                                   status != std::string::npos &&
                                       ended.out.compare(status, 3, "\n20") == 0);
        }
    }

    void testEveryConfigurationKeyIsNamed()
    {
        const std::string readme = contentOf(source / "README.md");
        std::istringstream lines(contentOf(source / "conf/stage-agent.properties"));
        int count = 0;
        for (std::string line; std::getline(lines, line);)
            if (const auto key = groupsOf(line, "#([a-z_.]+) =.*"); !key.empty())
            {
                ++count;
                CPPUNIT_ASSERT_MESSAGE(key[1], has(readme, "`" + key[1] + "`"));
            }
        CPPUNIT_ASSERT(count > 5);
    }

    void testDescriptionOfTheApiIsServed()
    {
        _daemon.start();
        const auto answer = _daemon.get("/api/openapi.yaml");
        CPPUNIT_ASSERT_EQUAL(200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("application/yaml"), answer.headers.at("content-type"));
        CPPUNIT_ASSERT_EQUAL(contentOf(source / "agent/api/openapi.yaml"), answer.body);
        CPPUNIT_ASSERT_EQUAL(304, _daemon
                                      .request("GET", "/api/openapi.yaml", "",
                                               {{"If-None-Match", answer.headers.at("etag")}})
                                      .status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/dashboard/openapi.yaml").status);
    }

    void testDescriptionOfTheApiNamesEveryRoute()
    {
        const auto routes = routesOfTheProgram();
        const auto described = routesOfTheDescription();
        CPPUNIT_ASSERT(routes.size() > 15);
        for (const auto& route : routes)
            CPPUNIT_ASSERT_MESSAGE(route + " is not described", described.contains(route));
        for (const auto& route : described)
            CPPUNIT_ASSERT_MESSAGE(route + " is not there", routes.contains(route));
    }

private:
    /// A run in the state that the command is for.
    std::string runFor(const std::string& command) const
    {
        const auto submit = [this](const std::string& shell, const std::string& more)
        {
            return _daemon.submit(R"([{"type":"BUILD","plugin":"shell","with":{"command":")" +
                                  shell + "\"}" + more + "}]");
        };
        if (has(command, "approve-deployment"))
        {
            auto run = submit("true", R"(,"approval":"required")");
            _daemon.waitForRun(run, "AWAITING_APPROVAL");
            return run;
        }
        if (has(command, "PATCH") || has(command, "/stop"))
        {
            auto run = submit("sleep 981", "");
            _daemon.waitForRun(run, "IN_PROGRESS");
            return run;
        }
        auto run = submit("echo hello", "");
        _daemon.waitForRun(run, "SUCCESS");
        return run;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReadmeTest);
