#pragma once

#include "agent/document/Document.h"
#include "agent/run/ApproveRun.h"
#include "agent/run/DeleteRun.h"
#include "agent/run/Engine.h"
#include "agent/run/PatchStage.h"
#include "agent/run/PipelineParser.h"
#include "agent/run/StopRun.h"
#include "agent/run/SubmitRun.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/MemoryRunner.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

namespace agent
{

/// An engine whose stages run in memory (MemoryRunner), with a real record.
class EngineFixture: public CppUnit::TestFixture
{
public:
    void setUp() override
    {
        _state = std::make_unique<StateFolder>(_folder.path());
        _database = std::make_unique<Database>(_state->record());
        std::vector<Problem> problems;
        _plugins.load(std::filesystem::path(STAGE_AGENT_BIN_DIR) / "plugins", problems);
        _cleanup = std::make_unique<CleanupWorker>(_state->root(), [](const std::string&) {});
    }

    void tearDown() override
    {
        _engine.reset();
        _cleanup.reset();
        _database.reset();
        _state.reset();
    }

protected:
    static constexpr const char* one = "stages: [{type: BUILD, plugin: shell, with: {command: x}}]";
    static constexpr const char* two = "stages: [{type: BUILD, plugin: shell, with: {command: x}}, "
                                       "{type: UNIT_TEST, plugin: shell, with: {command: x}}]";

    static Engine::Listener silent()
    {
        return {.changed = [](const std::set<std::string>&) {}, .log = [](const std::string&) {}};
    }

    void start()
    {
        _engine = std::make_unique<Engine>(EngineOptions{.slots = 1}, *_database, *_state, _plugins,
                                           _services, _runner, *_cleanup, silent());
        _engine->start();
    }

    static PipelineSpec pipeline(const std::string& text)
    {
        std::vector<Problem> problems;
        const auto root = parseYaml(text, "", problems);
        auto parsed = parsePipeline(root, std::move(problems));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, parsed.problems.size());
        return parsed.spec;
    }

    std::string submit(const std::string& text, std::int64_t priority = 0)
    {
        return commands::submit(*_engine,
                                {.pipeline = Pipeline(pipeline(text)), .priority = priority})
            .run.id;
    }

    std::vector<std::string> stagesOfRun(const std::string& runId)
    {
        auto reader = _database->reader();
        std::vector<std::string> ids;
        for (const auto& stage : RunStore(*reader).stages(runId))
            ids.push_back(stage.id);
        return ids;
    }

    Stage stage(const std::string& id)
    {
        auto reader = _database->reader();
        return RunStore(*reader).stage(id).value();
    }

    Run run(const std::string& id)
    {
        auto reader = _database->reader();
        return RunStore(*reader).run(id).value();
    }

    Status status(const std::string& runId) { return run(runId).status; }

    /// `act` is declined with `code`.
    static void assertDeclined(const std::string& code, const std::function<void()>& act)
    {
        try
        {
            act();
        }
        catch (const Declined& declined)
        {
            CPPUNIT_ASSERT_EQUAL(code, declined.code);
            return;
        }
        CPPUNIT_FAIL("was not declined: " + code);
    }

    /// Ends a stage as soon as it runs.
    void endWhenItRuns(const std::string& stageId, int exitCode)
    {
        waitFor([&] { return _runner.runs(stageId); });
        _runner.exit(stageId, exitCode);
    }

    static void waitFor(const std::function<bool()>& reached)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!reached())
        {
            CPPUNIT_ASSERT_MESSAGE("not reached in time", std::chrono::steady_clock::now() < end);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    void waitForEnd(const std::string& runId, Status wanted)
    {
        waitFor([&] { return run(runId).ended(); });
        CPPUNIT_ASSERT_EQUAL(std::string(toString(wanted)), std::string(toString(status(runId))));
    }

    FilesFolder _folder;
    std::unique_ptr<StateFolder> _state;
    std::unique_ptr<Database> _database;
    PluginRegistry _plugins;
    ServiceCatalog _services;
    std::unique_ptr<CleanupWorker> _cleanup;
    MemoryRunner _runner;
    std::unique_ptr<Engine> _engine;
};

} // namespace agent
