#include "agent/plugin/StagePlugin.h"
#include "tests/support/PluginProcess.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <fstream>

namespace fs = std::filesystem;

class PluginHostTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PluginHostTest);
    CPPUNIT_TEST(testPassedIsExitZeroWithOutputs);
    CPPUNIT_TEST(testFailedIsExitOneWithItsMessage);
    CPPUNIT_TEST(testExceptionIsPluginErrorWithItsText);
    CPPUNIT_TEST(testCrashEndsOnlyTheHost);
    CPPUNIT_TEST(testPluginThatCallsExitDoesNotPass);
    CPPUNIT_TEST(testOutputThatIsNoUtf8IsRefused);
    CPPUNIT_TEST(testOtherAbiIsRefusedBeforeAnyOfItsCodeRuns);
    CPPUNIT_TEST(testLibraryThatIsNoPluginIsRefused);
    CPPUNIT_TEST(testLibraryWithTwoClassesIsRefused);
    CPPUNIT_TEST(testMissingOrBrokenLibraryIsNamed);
    CPPUNIT_TEST(testCppExampleOfTheReadmeWorks);
    CPPUNIT_TEST(testProgramExampleOfTheReadmeWorks);
    CPPUNIT_TEST(testNotifyWritesSummary);
    CPPUNIT_TEST_SUITE_END();

public:
    void testPassedIsExitZeroWithOutputs()
    {
        const PluginEnd end = odd("pass");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 0, end.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("odd: pass\n"), end.out);
        CPPUNIT_ASSERT_EQUAL(std::string("pass"), end.outputs.at("behaviour"));
        CPPUNIT_ASSERT_EQUAL(std::string("a \"quoted\"\nline\t\\ and \x01"),
                             end.outputs.at("quoted"));
    }

    void testFailedIsExitOneWithItsMessage()
    {
        const PluginEnd end = odd("fail");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("odd: as it was told to\n"), end.errors);
    }

    void testExceptionIsPluginErrorWithItsText()
    {
        assertPluginError(odd("throw-poco"), "I/O error: the reason: and its detail");
        assertPluginError(odd("throw-std"), "a plain reason");
        assertPluginError(odd("throw-int"), "no std::exception");
    }

    void testCrashEndsOnlyTheHost()
    {
        CPPUNIT_ASSERT_EQUAL(SIGSEGV, odd("crash").signal);
        CPPUNIT_ASSERT_EQUAL(SIGABRT, odd("throw-in-thread").signal);
    }

    void testPluginThatCallsExitDoesNotPass()
    {
        const PluginEnd end = odd("exit");
        assertPluginError(end, "exit()");
        CPPUNIT_ASSERT(end.outputs.empty());
    }

    void testOutputThatIsNoUtf8IsRefused()
    {
        const PluginEnd end = odd("no-utf8");
        assertPluginError(end, "output 'broken' is not UTF-8");
        CPPUNIT_ASSERT(end.outputs.empty());
    }

    void testOtherAbiIsRefusedBeforeAnyOfItsCodeRuns()
    {
        assertPluginError(host("WrongAbi.so"), "built for plugin ABI 99, this agent has ABI " +
                                                   std::to_string(agent::v1::abi));
    }

    void testLibraryThatIsNoPluginIsRefused()
    {
        assertPluginError(host("NotAPlugin.so"), "not a stage plugin");
    }

    void testLibraryWithTwoClassesIsRefused()
    {
        assertPluginError(host("TwoClasses.so"), "exactly one plugin class, this one 2");
    }

    void testMissingOrBrokenLibraryIsNamed()
    {
        assertPluginError(host("NoSuchFile.so"), "NoSuchFile.so");
        const fs::path noise = _folder.path() / "noise.so";
        std::ofstream(noise) << "this is no ELF file";
        assertPluginError(runHost(noise, _folder, {}), "noise.so");
    }

    /// The README's code is the code that is built and run here.
    void testCppExampleOfTheReadmeWorks()
    {
        const fs::path sources = support() / "plugins/greet";
        assertInReadme(sources / "Greet.cpp");
        assertInReadme(sources / "plugin.yaml");

        const PluginEnd end = host("greet/greet.so", {{"WHO", "Ada"}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 0, end.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("Hello Ada, this is payment\n"), end.out);
        CPPUNIT_ASSERT_EQUAL(std::string("Ada"), end.outputs.at("greeted"));
        CPPUNIT_ASSERT_EQUAL(1, host("greet/greet.so", {{"WHO", "nobody"}}).exitCode);
    }

    void testProgramExampleOfTheReadmeWorks()
    {
        const fs::path sources = support() / "plugins/greet-sh";
        assertInReadme(sources / "greet.sh");
        assertInReadme(sources / "plugin.yaml");

        const PluginEnd end = script(sources / "greet.sh", {{"WHO", "$(id)"}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 0, end.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("Hello $(id), this is payment\n"), end.out);
        CPPUNIT_ASSERT_EQUAL(std::string("yes"), end.outputs.at("greeted"));
        CPPUNIT_ASSERT_EQUAL(1, script(sources / "greet.sh", {{"WHO", "nobody"}}).exitCode);
    }

    void testNotifyWritesSummary()
    {
        const fs::path notify = STAGE_AGENT_SOURCE_DIR "/plugins/notify/notify.sh";
        const PluginEnd end = script(notify, {{"MESSAGE", "100 % \"done\""},
                                              {"FILE", "summary.md"},
                                              {"RECIPIENTS", R"(["ada","bob"])"}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 0, end.exitCode);
        const std::string summary = contentOf(_folder.workspace() / "summary.md");
        CPPUNIT_ASSERT_EQUAL(end.out, summary);
        CPPUNIT_ASSERT(summary.starts_with("# 100 % \"done\"\n"));
        CPPUNIT_ASSERT(summary.find(R"(- for: ["ada","bob"])") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("summary.md"), end.outputs.at("summary"));

        for (const char* file : {"../out", "/tmp/out", "", ".hidden", "a\"b"})
            CPPUNIT_ASSERT_EQUAL(1, script(notify, {{"MESSAGE", "m"}, {"FILE", file}}).exitCode);
    }

private:
    using Settings = std::map<std::string, std::string>;

    static fs::path support() { return STAGE_AGENT_SOURCE_DIR "/tests/support"; }

    PluginEnd host(const std::string& library, const Settings& settings = {})
    {
        return runHost(fs::path(STAGE_AGENT_BIN_DIR).parent_path() / "test-plugins" / library,
                       _folder, settings);
    }

    PluginEnd odd(const std::string& behaviour)
    {
        return host("Odd.so", {{"BEHAVIOUR", behaviour}});
    }

    PluginEnd script(const fs::path& file, const Settings& settings)
    {
        return PluginProcess({"/bin/sh", file}, _folder.environment(settings)).wait();
    }

    static void assertPluginError(const PluginEnd& end, const std::string& text)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 120, end.exitCode);
        CPPUNIT_ASSERT_MESSAGE(end.describe(), end.errors.find(text) != std::string::npos);
    }

    static void assertInReadme(const fs::path& file)
    {
        const std::string readme = contentOf(STAGE_AGENT_SOURCE_DIR "/plugins/README.md");
        const std::string content = contentOf(file);
        CPPUNIT_ASSERT_MESSAGE(file.string() + " is not in plugins/README.md word for word",
                               !content.empty() && readme.find(content) != std::string::npos);
    }

    PluginFolder _folder;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PluginHostTest);
