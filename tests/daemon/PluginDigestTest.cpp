// A plugin's files are changed after the agent has read them. Symptom: the changed program ran, with the stage's secrets,
// and the agent went on to tell the digest of the old one. Bound: what runs is what was loaded, or nothing, until a reload.
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

namespace fs = std::filesystem;

class PluginDigestTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PluginDigestTest);
    CPPUNIT_TEST(testAChangedProgramIsRefused);
    CPPUNIT_TEST(testAnAddedOrRemovedFileIsRefused);
    CPPUNIT_TEST(testAReloadTakesTheChange);
    CPPUNIT_TEST(testEachAttemptKeepsTheDigestOfWhatItExecuted);
    CPPUNIT_TEST(testALooseSecretIsRefusedAtTheLaunch);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        fs::create_directories(plugin());
        write("plugin.yaml", "name: p\nversion: 1.0.0\ndescription: x\nsettings: {}\n"
                             "run: [/bin/sh, ./go.sh]\n");
        write("go.sh", "echo honest\n");
    }

    void testAChangedProgramIsRefused()
    {
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("honest\n"), _daemon.log(run("SUCCESS")));
        write("go.sh", "echo changed\n");
        const auto id = run("FAILURE");
        assertRefused(id);
        CPPUNIT_ASSERT_EQUAL(std::string(), _daemon.log(id));
        write("go.sh", "echo honest\n"); // it is about what runs, not about who wrote when
        (void)run("SUCCESS");
    }

    void testAnAddedOrRemovedFileIsRefused()
    {
        write("lib/used.sh", "true\n");
        _daemon.start();
        (void)run("SUCCESS");
        write("lib/more.sh", "true\n");
        assertRefused(run("FAILURE"));
        fs::remove(plugin() / "lib/more.sh");
        (void)run("SUCCESS");
        fs::remove(plugin() / "lib/used.sh");
        assertRefused(run("FAILURE"));
    }

    void testAReloadTakesTheChange()
    {
        _daemon.start();
        write("go.sh", "echo changed\n");
        assertRefused(run("FAILURE"));
        const auto before = digest();
        _daemon.signal(SIGHUP);
        waitFor("the reload", [&] { return digest() != before; });
        const auto id = run("SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("changed\n"), _daemon.log(id));
        CPPUNIT_ASSERT_EQUAL(digest(), _daemon.detail(id, "pluginSha256"));
    }

    void testEachAttemptKeepsTheDigestOfWhatItExecuted()
    {
        _daemon.start();
        const auto first = run("SUCCESS");
        const auto before = digest();
        write("go.sh", "echo changed\n");
        _daemon.signal(SIGHUP);
        waitFor("the reload", [&] { return digest() != before; });
        const auto second = run("SUCCESS");
        CPPUNIT_ASSERT_EQUAL(before, _daemon.detail(first, "pluginSha256"));
        CPPUNIT_ASSERT_EQUAL(digest(), _daemon.detail(second, "pluginSha256"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, before.size());
    }

    /// It was private when the service was loaded.
    void testALooseSecretIsRefusedAtTheLaunch()
    {
        _daemon.writeSecret("TOKEN", "some-secret");
        _daemon.writeService("app",
                             "name: app\nsecrets: [TOKEN]\nstages: [{ type: BUILD, plugin: p }]\n");
        _daemon.start();
        const fs::path file = _daemon.folder() / "secrets" / "TOKEN";
        fs::permissions(file, fs::perms(0644));
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "FAILURE");
        const auto id = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_ERROR"), _daemon.detail(id, "cause"));
        const auto message = _daemon.detail(id, "message");
        CPPUNIT_ASSERT_MESSAGE(message, message.find("secret 'TOKEN'") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(message,
                               message.find("chmod 0600 " + file.string()) != std::string::npos);
        fs::permissions(file, fs::perms(0600));
        _daemon.waitForRun(_daemon.submitService("app"), "SUCCESS");
    }

private:
    [[nodiscard]] fs::path plugin() const { return _daemon.folder() / "plugins" / "p"; }

    void write(const std::string& name, const std::string& text) const
    {
        fs::create_directories((plugin() / name).parent_path());
        std::ofstream(plugin() / name) << text;
        for (const fs::path& place : {plugin().parent_path(), plugin(), plugin() / name})
            fs::permissions(place, fs::perms::group_write | fs::perms::others_write,
                            fs::perm_options::remove);
    }

    /// Returns the id of the stage of a run that ended so.
    [[nodiscard]] std::string run(const std::string& wanted) const
    {
        const auto run = _daemon.submit(R"([{"type":"BUILD","plugin":"p"}])");
        _daemon.waitForRun(run, wanted);
        return _daemon.stagesOf(run)[0];
    }

    void assertRefused(const std::string& id) const
    {
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_ERROR"), _daemon.detail(id, "cause"));
        const auto message = _daemon.detail(id, "message");
        CPPUNIT_ASSERT_MESSAGE(message, message.find("was changed since") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(message, message.find(digest()) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(message, message.find("SIGHUP") != std::string::npos);
    }

    /// What the agent says of the plugin.
    [[nodiscard]] std::string digest() const
    {
        const auto agent = _daemon.get("/api/agent").json();
        for (const auto& plugin : agent["plugins"].GetArray())
            if (plugin["name"] == "p")
                return plugin["sha256"].GetString();
        return "";
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PluginDigestTest);
