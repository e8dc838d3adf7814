#pragma once

#include "tests/support/DeafFiles.h"
#include "tests/support/Namespace.h"
#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>

#include <iostream>
#include <optional>
#include <string>

namespace agent::test
{

/// A daemon with one slot and a run whose first stage asks for a file that never comes: once it is killed the
/// kernel holds it in state D until `_files->release()`.
class DeafStage: public CppUnit::TestFixture
{
public:
    void setUp() override
    {
        _mounts.emplace();
        _daemon.emplace();
        _daemon->set("stage.grace", "200ms");
        _daemon->set("executor.slots", "1");
        _files.emplace(_daemon->state().parent_path() / "deaf");
        if (_files->mounted())
            _daemon->start();
    }

    void tearDown() override
    {
        _files->release();
        _files.reset(); // before the daemon, which waits for all processes
        _daemon.reset();
        _mounts.reset();
    }

protected:
    /// The stage's command is `before`, the file, `after`; false, and it says so, where that can't be played.
    bool begin(const std::string& more = "", const std::string& before = "stat ",
               const std::string& after = "")
    {
        if (!_mounts->own() || !_files->mounted())
        {
            std::cout << " (skipped: no file system of our own can be mounted by FUSE) "
                      << std::flush;
            return false;
        }
        const std::string file = (_daemon->state().parent_path() / "deaf/file").string();
        _run = _daemon->submit(
            listOf({shell(before + file + after, more),
                    R"({"type":"OTHER","plugin":"shell","with":{"command":"true"}})"}));
        _id = _daemon->stagesOf(_run)[0];
        waitFor("the stage to ask for its file", [&] { return _files->waiting() > 0; });
        return true;
    }

    /// Who asks, by its name.
    [[nodiscard]] int asker(const std::string& name = "stat") const
    {
        for (const int pid : processesOf(_id))
            if (contentOf("/proc/" + std::to_string(pid) + "/comm") == name + "\n")
                return pid;
        CPPUNIT_FAIL("nobody asks");
        return 0;
    }

    Answer patch(const std::string& status, const std::string& reason)
    {
        return _daemon->patch("/api/stages/" + _id,
                              R"({"status":")" + status + R"(","reason":")" + reason + "\"}");
    }

    static void assertRemains(const Answer& answer)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
        CPPUNIT_ASSERT_MESSAGE(answer.body,
                               answer.body.find("\"processes_remain\"") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(answer.body, answer.body.find("is in state D") != std::string::npos);
    }

    /// The stage is reported as running.
    void assertNotEnded() const
    {
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon->detail(_id, "endedAt"));
    }

    [[nodiscard]] int setAside() const
    {
        return _daemon->get("/api/agent").json()["setAside"].GetInt();
    }

    void waitUntilSetAside() const
    {
        waitFor("the daemon to know it", [&] { return setAside() == 1; });
    }

    std::optional<MountNamespace> _mounts;
    std::optional<Daemon> _daemon;
    std::optional<DeafFiles> _files;
    std::string _run;
    std::string _id;
};

} // namespace agent::test
