// What the daemon says of its configuration and of its command line, and with which exit code it ends.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <sys/stat.h>

namespace fs = std::filesystem;

using agent::test::Ended;
using agent::test::runProgram;

class ConfigurationTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ConfigurationTest);
    CPPUNIT_TEST(testAFoldersPlaceIsBesideTheFileThatNamesIt);
    CPPUNIT_TEST(testFoldersThatAreNotThereAreWarnedOf);
    CPPUNIT_TEST(testDefinitionsAreReadAsStrictlyAsTheFile);
    CPPUNIT_TEST(testLinesThatGoOnAreOne);
    CPPUNIT_TEST(testAFileOfAnotherSystemIsReadAlike);
    CPPUNIT_TEST(testAKeyMayStandOnce);
    CPPUNIT_TEST(testHostsThatNoRequestCanBeForAreRefused);
    CPPUNIT_TEST(testAFileOfAnyNameIsReadAsProperties);
    CPPUNIT_TEST(testAFileThatIsNotThereIsReported);
    CPPUNIT_TEST(testTimesToKeepNeedAUnit);
    CPPUNIT_TEST(testNothingButLoopbackIsListenedOn);
    CPPUNIT_TEST(testWhoMayWhatIsChecked);
    CPPUNIT_TEST(testAWrongCommandLineIsNoConfiguration);
    CPPUNIT_TEST(testOnlyTheJournalGetsPriorities);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Symptom: `<4>` and `<6>` before the lines of a plain terminal or file. Bound: only where stdout is what systemd named.
    void testOnlyTheJournalGetsPriorities()
    {
        agent::test::Daemon daemon;
        const fs::path output = daemon.folder() / "output";
        std::ofstream(output).close();
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(output.c_str(), &info));
        const std::string stream = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
        for (const auto& [named, ready] : {std::pair<std::string, std::string>{"", "\nready: "},
                                           {stream.substr(0, stream.find(':')) + ":1", "\nready: "},
                                           {stream, "\n<6>ready: "}})
        {
            std::ofstream(output, std::ios::trunc).close(); // the same file
            if (!named.empty())
                daemon.setEnvironment("JOURNAL_STREAM", named);
            daemon.start();
            const std::string said = "\n" + daemon.output();
            CPPUNIT_ASSERT_MESSAGE(named + said, said.find(ready) != std::string::npos);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(said, named == stream,
                                         said.find("\n<") != std::string::npos);
            daemon.kill();
        }
    }

    void testAFoldersPlaceIsBesideTheFileThatNamesIt()
    {
        // Symptom: under systemd `services.dir = services.d` was /services.d, and no service was there.
        // Cause: it began at the working folder. Bound: a -D begins there, as the shell's words do.
        service("etc/mine");
        service("here/mine");
        service("here/mine", "second");
        write("services.dir = mine\nstate.dir = state\n");
        assertHas(check(0), "1 service, 0 problems");
        assertHas(check(0, {"-D", "services.dir=mine"}), "2 services, 0 problems");
        const auto doctor = run({"--doctor", "-c", _file.string()});
        assertHas(doctor.out, (_folder.path() / "etc/state").string() + " does not exist yet");
    }

    void testFoldersThatAreNotThereAreWarnedOf()
    {
        write("\nservices.dir = nope\n");
        const auto said = check(0, {"-D", "secrets.dir=/nope"});
        assertHas(said, "warning: " + _file.string() + ":2: services.dir: there is no folder " +
                            (_folder.path() / "etc/nope").string());
        assertHas(said, "warning: -D: secrets.dir: there is no folder /nope");
        assertHas(said, "0 services, 0 problems");
        write("");
        CPPUNIT_ASSERT_MESSAGE("the defaults need not be there",
                               check(0).find("warning") == std::string::npos);
    }

    void testDefinitionsAreReadAsStrictlyAsTheFile()
    {
        write("stage.timeuot = 1m\nhttp.port 7\n");
        const auto said = check(78);
        assertHas(said, _file.string() + ":1: stage.timeuot: unknown key, did you mean "
                                         "'stage.timeout'?");
        assertHas(said, _file.string() + ":2: expected key = value, found 'http.port 7'");
        write("");
        for (const auto& [definition, reported] : std::map<std::string, std::string>{
                 {"stage.timeuot=1m", "stage.timeuot: unknown key, did you mean 'stage.timeout'?"},
                 {"http.prot=1", "http.prot: unknown key, did you mean 'http.port'?"},
                 {"stage.stuck_after.BLD=1m", "stage.stuck_after.BLD: unknown key"},
                 {"logging.loggers.root.level=debug", "logging.loggers.root.level: unknown key"},
                 {"noequals", "expected key=value, found 'noequals'"},
                 {"=x", "expected key=value, found '=x'"},
                 {"http.port=many", "http.port: expected a port"},
                 {"state.dir=${state.dir}", "state.dir: "}})
        {
            assertHas(check(78, {"-D", definition}), "stage-agent: -D: " + reported);
            assertHas(run({"--exec", "-D", definition, "--", "app", "BUILD"}, 2).err, reported);
            assertHas(run({"--doctor", "-D", definition}, 1).out,
                      reported.substr(0, reported.find('\'')));
        }
    }

    void testLinesThatGoOnAreOne()
    {
        write(
            "# a comment ends here \\\nhttp.hosts = a.example, \\\n  b.example\nstage.grace = 1\\\n"
            "0s\nexecutor.slots = none\n");
        const auto said = check(78);
        assertHas(said, ":6: executor.slots: expected");
        CPPUNIT_ASSERT_MESSAGE(said, said.find("unknown key") == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(said, said.find("stage.grace") == std::string::npos);
    }

    void testAFileOfAnotherSystemIsReadAlike()
    {
        // Symptom: the first key of a file with a byte order mark was unknown. Bound: line ends may be of Windows.
        write("\xef\xbb\xbf"
              "stage.grace = 1s\r\nhttp.hosts = a.example, \\\r\n  b.example\r\nexecutor.slots = "
              "3\r\n");
        check(0);
        write("\xef\xbb\xbfstage.grace = x\r\nexecutor.slots = none\r\n");
        const auto said = check(78);
        assertHas(said, ":1: stage.grace: expected");
        assertHas(said, ":2: executor.slots: expected");
    }

    void testAKeyMayStandOnce()
    {
        write("executor.slots = 3\n\nexecutor.slots = 4\n");
        assertHas(check(78), ":3: executor.slots: is set in line 1 too: remove one of the two");
        write("executor.slots = 3\n");
        check(0, {"-D", "executor.slots=4"});
    }

    void testHostsThatNoRequestCanBeForAreRefused()
    {
        write("");
        check(
            0,
            {"-D",
             "http.hosts=ci.example, ci.example:9797, [2001:db8::1], [::1]:80, 10.0.0.7, build_1"});
        for (const std::string host :
             {"https://ci.example", "ci.example/ci", "*.example", "ci.example:0", "ci.example:x",
              "::1", "a b", "[::1", "user@ci.example"})
            assertHas(check(78, {"-D", "http.hosts=" + host}), "http.hosts: no request can be for");
    }

    void testAFileOfAnyNameIsReadAsProperties()
    {
        for (const char* name : {"agent.conf", "agent.json", "agent.xml", "agent"})
        {
            _file = _folder.write(name, "executor.slots = 3\n");
            check(0);
            _file = _folder.write(name, "executor.slots = none\n");
            assertHas(check(78), std::string(name) + ":1: executor.slots");
        }
    }

    void testAFileThatIsNotThereIsReported()
    {
        _file = _folder.path() / "absent.conf";
        const std::string reported = _file.string() + ": there is no such configuration file";
        assertHas(check(78), reported);
        assertHas(run({"-c", _file.string()}, 78).err, reported);
        assertHas(run({"--exec", "-c", _file.string(), "--", "app", "BUILD"}, 2).err, reported);
        assertHas(run({"--doctor", "-c", _file.string()}, 1).out,
                  "give the agent's: --config FILE");
        _file = _folder.path();
        assertHas(check(78), _file.string() + ": is no file");
    }

    void testTimesToKeepNeedAUnit()
    {
        // Symptom: `runs.keep = 30` removed all runs after half a minute. Cause: a bare number is seconds.
        // Bound: elsewhere it is.
        write("");
        for (const std::string key : {"runs.keep", "workspace.keep", "logs.compress_after"})
        {
            assertHas(check(78, {"-D", key + "=30"}),
                      key + ": expected a time with its unit (ms, s, m, h, d)");
            check(0, {"-D", key + "=0"});
            check(0, {"-D", key + "=30d"});
        }
        check(0, {"-D", "stage.timeout=30", "-D", "runs.keep_count=30"});
    }

    void testNothingButLoopbackIsListenedOn()
    {
        write("");
        for (const char* address : {"127.0.0.1", "127.0.0.2", "::1", "localhost"})
            check(0, {"-D", std::string("http.address=") + address});
        for (const std::string address : {"0.0.0.0", "::", "192.0.2.7"})
        {
            const auto said = check(78, {"-D", "http.address=" + address});
            assertHas(said, "http.address: " + address + " is not loopback");
            assertHas(said, "ssh -L");
        }
        for (const char* address : {"no.such.host.invalid", "300.1.1.1", ""})
            assertHas(check(78, {"-D", std::string("http.address=") + address}),
                      "http.address: expected an address");
        assertHas(run({"-D", "http.address=0.0.0.0"}, 78).err, "is not loopback");
    }

    void testWhoMayWhatIsChecked()
    {
        write("");
        for (const char* key : {"auth.required", "metrics.public"})
        {
            check(0, {"-D", std::string(key) + "=true"});
            assertHas(check(78, {"-D", std::string(key) + "=maybe"}), "expected true or false");
        }
        // Whoever can read the port must not be able to do everything.
        const std::vector<std::string> open{"-D", "auth.required=false", "-D",
                                            "http.plain=yes, a proxy speaks TLS for me"};
        check(0, open);
        for (const std::string address : {"0.0.0.0", "::", "192.0.2.7"})
        {
            auto outside = open;
            outside.insert(outside.end(), {"-D", "http.address=" + address});
            assertHas(check(78, outside), "auth.required: only on loopback");
        }
        check(0, {"-D", "auth.proxy_header=X-Forwarded-User"});
        for (const std::string header : {"X Forwarded", "a:b", "Authorization"})
            assertHas(check(78, {"-D", "auth.proxy_header=" + header}),
                      "auth.proxy_header: expected the name of a header");
    }

    void testAWrongCommandLineIsNoConfiguration()
    {
        for (const auto& arguments : std::vector<std::vector<std::string>>{
                 {"--bogus"}, {"foo"}, {"--config"}, {"--daemon"}, {"--check", "--check"}})
        {
            const auto ended = run(arguments, 64);
            CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.starts_with("stage-agent: "));
            assertHas(ended.err, "see --help");
        }
        assertHas(run({"--exec", "--bogus"}, 2).err, "bogus");
        run({"--exec", "--", "app"}, 2);
    }

private:
    static void assertHas(const std::string& text, const std::string& part)
    {
        CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                               text.find(part) != std::string::npos);
    }

    void write(const std::string& properties)
    {
        _file = _folder.write("etc/agent.properties", properties);
    }

    void service(const std::string& folder, const std::string& name = "first") const
    {
        (void)_folder.write(folder + "/" + name + ".yaml",
                            "name: " + name + "\nstages: [{ type: BUILD, plugin: external }]\n");
    }

    /// In a folder that is not the file's.
    [[nodiscard]] Ended run(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> line{STAGE_AGENT_BIN_DIR "/stage-agent"};
        line.insert(line.end(), arguments.begin(), arguments.end());
        return runProgram(line, _here, {{"HOME", _here.string()}});
    }

    Ended run(const std::vector<std::string>& arguments, int code) const
    {
        auto ended = run(arguments);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, code, ended.exitCode);
        return ended;
    }

    /// What `--check` says of the file.
    std::string check(int code, const std::vector<std::string>& more = {}) const
    {
        std::vector<std::string> arguments{"--check", "-c", _file.string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const auto ended = run(arguments, code);
        return ended.err + ended.out;
    }

    agent::FilesFolder _folder;
    fs::path _here = _folder.write("here/x", "").parent_path();
    fs::path _file;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConfigurationTest);
