#pragma once

#include "tests/support/Artifacts.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/Daemon.h"
#include "tests/support/GitOrigin.h"

#include <cppunit/TestFixture.h>

#include <cstdlib>
#include <memory>

#include <sys/stat.h>

namespace agent::test
{

/// A service `lib` that keeps `dist`, and a service `app` that needs it: docs/artifacts.md, "What another service made".
class NeedsFixture: public CppUnit::TestFixture
{
public:
    void setUp() override { _daemon = std::make_unique<Daemon>(); }
    void tearDown() override
    {
        _daemon.reset();
        _origin.reset();
    }

protected:
    static bool has(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    static std::string untilGo()
    {
        return "touch at-work; until test -e go; do sleep 0.05; done; cat vendor/lib/dist/a";
    }

    /// What keeps `dist`. `more`: further stages; `keys` of the service.
    static std::string libText(const std::string& name, const std::string& more = "",
                               const std::string& keys = "", const std::string& make = "true",
                               const std::string& keep = "")
    {
        return "name: " + name + "\nbranch: main\n" + keys +
               "stages:\n  - type: BUILD\n    plugin: shell\n    with:\n      command: |\n"
               "        mkdir -p dist/deep; echo made by $N >dist/a; echo b >dist/deep/b\n"
               "        chmod 751 dist/deep/b; truncate -s 1000000 dist/sparse\n        " +
               make + "\n    artifacts: {paths: [dist], name: dist" + keep + "}\n" + more;
    }

    void lib(const std::string& more = "", const std::string& keys = "",
             const std::string& make = "true", const std::string& keep = "")
    {
        _daemon->writeService("lib", libText("lib", more, keys, make, keep));
    }

    static std::string stageOf(const std::string& command, const std::string& needs = "")
    {
        return "  - {type: BUILD, plugin: shell, with: {command: " + quoted(command) + "}" +
               (needs.empty() ? "" : ", needs: [" + needs + "]") + "}\n";
    }

    static std::string quoted(const std::string& text)
    {
        std::string out = "'";
        for (const char c : text)
            out += c == '\'' ? "''" : std::string(1, c);
        return out + "'";
    }

    static std::string service(const std::string& name, const std::string& command,
                               const std::string& needs)
    {
        return "name: " + name + "\nbranch: main\nstages:\n" + stageOf(command, needs);
    }

    /// `before`: the command of a stage before the one that needs something.
    void app(const std::string& command, const std::string& before = "",
             const std::string& to = "vendor/lib", const std::string& keys = "", bool git = false)
    {
        _daemon->writeService(
            "app", "name: app\n" + keys + "stages:\n" +
                       (git ? "  - {type: PREPARE, plugin: git}\n" : "") +
                       (before.empty() ? "" : stageOf(before)) +
                       stageOf(command, "{service: lib, artifacts: dist, to: " + to + "}"));
    }

    /// A lib whose files are those of its repository. Returns a commit that is on the branch evil alone.
    std::string libOfARepository()
    {
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        _origin->commit("dist/a", "good\n");
        _origin->git("checkout -q -b evil");
        std::string evil = _origin->commit("dist/a", "evil\n");
        _origin->git("checkout -q main");
        _daemon->writeService("lib",
                              "name: lib\nrepository: " + _origin->path().string() +
                                  "\nbranch: main\nforks: allow\nstages:\n"
                                  "  - {type: PREPARE, plugin: git}\n"
                                  "  - {type: BUILD, plugin: shell, with: {command: 'true'}, "
                                  "artifacts: {paths: [dist], name: dist}}\n");
        return evil;
    }

    void pipelineFile(const std::string& needed) const
    {
        _origin->commit(".stage-agent.yaml",
                        "stages:\n" + stageOf("cat x/dist/a",
                                              "{service: " + needed + ", artifacts: dist, to: x}"));
    }

    void fromFile(const std::string& name, const std::string& keys) const
    {
        _daemon->writeService(name, "name: " + name + "\nrepository: " + _origin->path().string() +
                                        "\nbranch: main\npipeline: .stage-agent.yaml\n" + keys);
    }

    std::string start(const std::string& name, const std::string& more = "") const
    {
        const Answer made = _daemon->post("/api/runs", R"({"service":")" + name + "\"" +
                                                           (more.empty() ? "" : "," + more) + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    std::string ran(const std::string& name, const std::string& more = "",
                    const std::string& wanted = "SUCCESS") const
    {
        std::string run = start(name, more);
        _daemon->waitForRun(run, wanted);
        return run;
    }

    /// There is none for the service.
    void lacks(const std::string& name) const
    {
        const std::string run = ran(name, "", "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("NEEDS"),
                             _daemon->detail(_daemon->stagesOf(run).back(), "cause"));
    }

    /// The run has no stages of its file.
    void refused(const std::string& run, const std::string& wanted) const
    {
        const auto stages = _daemon->stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, stages.size());
        CPPUNIT_ASSERT_EQUAL(std::string("PIPELINE"), _daemon->detail(stages[0], "cause"));
        const std::string why = _daemon->detail(stages[0], "message");
        CPPUNIT_ASSERT_MESSAGE(why, has(why, wanted));
    }

    /// The process that copies for the stage; 0: none does.
    [[nodiscard]] int copierOf(const std::string& stage) const
    {
        const auto processes = _daemon->get("/api/stages/" + stage + "/processes").json();
        for (const auto& process : processes.GetArray())
            if (process["command"] == "stage-cache")
                return process["pid"].GetInt();
        return 0;
    }

    static int parentOf(int pid)
    {
        const std::string stat = contentOf("/proc/" + std::to_string(pid) + "/stat");
        return std::atoi(stat.c_str() + stat.rfind(')') + 4);
    }

    [[nodiscard]] std::filesystem::path folderOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run;
    }
    [[nodiscard]] std::filesystem::path workspaceOf(const std::string& run) const
    {
        return folderOf(run) / "workspace";
    }
    [[nodiscard]] std::filesystem::path setsOf(const std::string& run) const
    {
        return _daemon->state() / "artifacts/sets" / run;
    }

    std::unique_ptr<Daemon> _daemon;
    std::unique_ptr<GitOrigin> _origin;
};

} // namespace agent::test
