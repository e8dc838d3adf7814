// The Unix socket of the real daemon, and stagectl over it.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/RawClient.h"

#include <cppunit/extensions/HelperMacros.h>

#include <pwd.h>
#include <sys/stat.h>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::RawClient;
using agent::test::runProgram;

namespace
{

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                           text.find(part) != std::string::npos);
}

std::string userName()
{
    const passwd* account = ::getpwuid(::geteuid());
    return account != nullptr ? account->pw_name : std::to_string(::geteuid());
}

} // namespace

class SocketTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SocketTest);
    CPPUNIT_TEST(testTheHistoryNamesTheUserWhoAskedAtTheSocket);
    CPPUNIT_TEST(testTheSocketComesBackAfterACrashAndGoesWithTheAgent);
    CPPUNIT_TEST(testTheLockIsTheLastThatACrashGivesBack);
    CPPUNIT_TEST(testStagectlFindsTheSocketOfThisHost);
    CPPUNIT_TEST(testStagectlSaysWhyASocketCannotBeOpened);
    CPPUNIT_TEST(testNoSocketWhereNoneIsWanted);
    CPPUNIT_TEST(testAnUnknownGroupIsAWarning);
    CPPUNIT_TEST(testTheDoctorLooksAtTheSocket);
    CPPUNIT_TEST_SUITE_END();

    Daemon _daemon;

    [[nodiscard]] std::filesystem::path socket() const { return _daemon.state() / "api.sock"; }
    [[nodiscard]] std::string address() const { return "unix://" + socket().string(); }
    [[nodiscard]] Ended stagectl(const std::vector<std::string>& arguments,
                                 const std::map<std::string, std::string>& environment) const
    {
        std::vector<std::string> all{STAGE_AGENT_BIN_DIR "/stagectl"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return runProgram(all, _daemon.folder(), environment);
    }

public:
    void testTheHistoryNamesTheUserWhoAskedAtTheSocket()
    {
        _daemon.start();
        const auto run =
            _daemon.submit(R"([{"type":"BUILD","plugin":"shell","with":{"command":"false"}}])");
        _daemon.waitForRun(run, "FAILURE");
        const auto stage = _daemon.stagesOf(run).front();
        // Who runs the agent has no rights there unless it is root.
        const bool known = ::geteuid() == 0;
        const auto ended =
            stagectl({"--agent", address(), "patch", stage, "success", "--reason", "seen"},
                     {{"STAGE_AGENT_TOKEN", ""}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, known ? 0 : 3, ended.exitCode);
        const auto history = _daemon.get("/api/stages/" + stage + "/history");
        assertHas(known ? history.body : ended.err,
                  known ? "\"actor\":\"" + userName() + "\"" : "not_an_operator");
    }

    void testTheSocketComesBackAfterACrashAndGoesWithTheAgent()
    {
        _daemon.start();
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::lstat(socket().c_str(), &info));
        CPPUNIT_ASSERT_EQUAL(mode_t{S_IFSOCK | 0660}, info.st_mode);
        _daemon.kill();
        CPPUNIT_ASSERT(std::filesystem::is_socket(socket()));
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(0, stagectl({"--agent", address(), "health"}, {}).exitCode);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        CPPUNIT_ASSERT(!std::filesystem::exists(socket()));
    }

    void testTheLockIsTheLastThatACrashGivesBack()
    {
        // Descriptors are closed in the order of their numbers: by the kernel, and by a child that was being started.
        // A new agent that has the lock would else find the socket "in use" by nobody.
        _daemon.start();
        int lock = -1;
        int others = -1;
        const auto descriptors = "/proc/" + std::to_string(_daemon.pid()) + "/fd";
        for (const auto& entry : std::filesystem::directory_iterator(descriptors))
        {
            const int number = std::stoi(entry.path().filename());
            std::error_code gone;
            const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
            if (target == (_daemon.state() / "lock").string())
                lock = number;
            else if (target.starts_with("socket:") || target.find("/record.db") != target.npos)
                others = std::max(others, number);
        }
        CPPUNIT_ASSERT_MESSAGE("its sockets and its record", others != -1);
        CPPUNIT_ASSERT_GREATER(others, lock);
    }

    void testStagectlFindsTheSocketOfThisHost()
    {
        // As a person who runs the agent as himself, with its default state folder.
        const auto home = _daemon.folder() / "home";
        std::filesystem::create_directories(home / "stage-agent");
        _daemon.set("state.dir", (home / "stage-agent").string());
        _daemon.start();
        const auto ended = stagectl(
            {"doctor"}, {{"XDG_STATE_HOME", home.string()}, {"HOME", _daemon.folder().string()}});
        assertHas(ended.out, address() + " (the default) is healthy");
    }

    void testStagectlSaysWhyASocketCannotBeOpened()
    {
        const auto missing = stagectl({"--agent", "unix:///nowhere/api.sock", "runs"}, {});
        CPPUNIT_ASSERT_EQUAL(6, missing.exitCode);
        assertHas(missing.err, "can't open /nowhere/api.sock: No such file or directory");
        assertHas(missing.err, "systemctl status stage-agent");
        for (const char* wrong : {"unix://", "unix:///", "unix://relative", "unix:///folder/"})
            CPPUNIT_ASSERT_EQUAL(2, stagectl({"--agent", wrong, "runs"}, {}).exitCode);
    }

    void testNoSocketWhereNoneIsWanted()
    {
        _daemon.set("http.socket", "");
        _daemon.start();
        CPPUNIT_ASSERT(!std::filesystem::exists(socket()));
    }

    void testAnUnknownGroupIsAWarning()
    {
        _daemon.set("auth.operators_group", "no-such-group");
        _daemon.start();
        assertHas(_daemon.output(), "auth.operators_group: there is no group 'no-such-group'");
        assertHas(_daemon.output(), "groupadd no-such-group");
    }

    void testTheDoctorLooksAtTheSocket()
    {
        const auto doctor = [&]
        {
            std::string said;
            _daemon.runToEnd({"--doctor"}, said);
            const auto at = said.find("\"check\":\"socket\"");
            CPPUNIT_ASSERT_MESSAGE(said, at != std::string::npos);
            return said.substr(at, said.find('}', at) - at);
        };
        _daemon.start();
        assertHas(doctor(), "for root only, since its folder is closed to others");
        _daemon.kill();
        std::filesystem::create_directory(_daemon.folder() / "open");
        ::chmod((_daemon.folder() / "open").c_str(), 0755);
        _daemon.set("http.socket", (_daemon.folder() / "open" / "api.sock").string());
        _daemon.start();
        assertHas(doctor(), "for root and members of the group");
        _daemon.kill();
        _daemon.set("http.socket", (_daemon.folder() / "none" / "x" / "api.sock").string());
        assertHas(doctor(), "can't be made by");
        _daemon.set("http.socket", (_daemon.folder() / "api.sock").string());
        assertHas(doctor(), "made at start");
        _daemon.set("http.socket", (_daemon.folder() / "services.d").string());
        assertHas(doctor(), "exists and is no socket");
        _daemon.set("http.socket", "");
        assertHas(doctor(), "none: http.socket is empty");
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SocketTest);
