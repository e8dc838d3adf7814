// What the world does to a build host: full disks, silent peers, broken records.
#include "tests/support/Daemon.h"
#include "tests/support/SmallDisk.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using agent::SmallDisk;
using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

namespace
{

/// Accepts connections and never says a word.
class SilentServer
{
public:
    SilentServer() : _fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        CPPUNIT_ASSERT_EQUAL(0, ::bind(_fd, reinterpret_cast<sockaddr*>(&address), size));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(_fd, 8));
        ::getsockname(_fd, reinterpret_cast<sockaddr*>(&address), &size);
        _port = ntohs(address.sin_port);
    }
    ~SilentServer() { ::close(_fd); }
    SilentServer(const SilentServer&) = delete;
    SilentServer& operator=(const SilentServer&) = delete;
    [[nodiscard]] int port() const { return _port; }

private:
    int _fd;
    int _port = 0;
};

std::string one(const std::string& command)
{
    return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}}]";
}

} // namespace

class FaultsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FaultsTest);
    CPPUNIT_TEST(testFullDiskRefusesAndRecoversByItself);
    CPPUNIT_TEST(testStageThatFillsTheDiskIsNeverASuccess);
    CPPUNIT_TEST(testRepositoryThatNeverAnswersEndsWithItsTimeout);
    CPPUNIT_TEST(testDamagedRecordRefusesToStart);
    CPPUNIT_TEST(testStateFolderThatCannotBeWrittenIsNamed);
    CPPUNIT_TEST(testPortTakenIsNamed);
    CPPUNIT_TEST_SUITE_END();

public:
    void testFullDiskRefusesAndRecoversByItself()
    {
        const SmallDisk disk("16M");
        if (!disk.mounted())
            return;
        Daemon daemon;
        daemon.set("state.dir", disk.path().string());
        daemon.start();
        const auto before = daemon.submit(one("true"));
        daemon.waitForRun(before, "SUCCESS");
        disk.fill();
        const Answer refused =
            daemon.post("/api/runs", R"({"pipeline":{"stages":)" + one("true") + "}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 429, refused.status);
        CPPUNIT_ASSERT_MESSAGE(refused.body, refused.body.find("disk") != std::string::npos);
        CPPUNIT_ASSERT(refused.headers.contains("retry-after"));
        CPPUNIT_ASSERT_EQUAL(503, daemon.get("/readyz").status);
        CPPUNIT_ASSERT_EQUAL(200, daemon.get("/api/stages?runId=" + before).status);
        disk.free();
        const auto after = daemon.submit(one("true"));
        daemon.waitForRun(after, "SUCCESS");
        waitFor("readiness", [&] { return daemon.get("/readyz").status == 200; });
    }

    void testStageThatFillsTheDiskIsNeverASuccess()
    {
        const SmallDisk disk("16M");
        if (!disk.mounted())
            return;
        Daemon daemon;
        daemon.set("state.dir", disk.path().string());
        daemon.start();
        const auto run = daemon.submit(one("yes > /dev/stdout"));
        waitFor("the disk to be full",
                [&]
                {
                    return std::filesystem::space(disk.path()).available < 4096 ||
                           daemon.statusOf(run) == "FAILURE";
                });
        // The log is what fills it: some room lets the end be recorded.
        waitFor("the stage to end",
                [&]
                {
                    const auto id = daemon.stagesOf(run)[0];
                    std::error_code ignored;
                    for (const auto& entry :
                         std::filesystem::recursive_directory_iterator(disk.path(), ignored))
                        if (entry.path().filename() == "log" &&
                            daemon.detail(id, "status") == "IN_PROGRESS" &&
                            !contentOf(entry.path().parent_path() / "outcome.json").empty())
                            std::filesystem::remove(entry.path(), ignored);
                    return daemon.detail(id, "status") == "FAILURE";
                });
        CPPUNIT_ASSERT_EQUAL(std::string("DISK_FULL"),
                             daemon.detail(daemon.stagesOf(run)[0], "cause"));
    }

    void testRepositoryThatNeverAnswersEndsWithItsTimeout()
    {
        const SilentServer server;
        Daemon daemon;
        daemon.writeService(
            "mute", "name: mute\nrepository: http://127.0.0.1:" + std::to_string(server.port()) +
                        "/mute.git\nstages: [{ type: PREPARE, plugin: git, timeout: 2s }]\n");
        daemon.start();
        const auto run = daemon.submitService("mute");
        daemon.waitForRun(run, "FAILURE");
        const auto id = daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), daemon.detail(id, "cause"));
        CPPUNIT_ASSERT(daemon.log(id).find("mute.git") != std::string::npos);
    }

    void testDamagedRecordRefusesToStart()
    {
        Daemon daemon;
        daemon.start();
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        const int fd = ::open((daemon.state() / "record.db").c_str(), O_WRONLY | O_CLOEXEC);
        const std::string noise(512, 'z');
        CPPUNIT_ASSERT_EQUAL(ssize_t{512}, ::pwrite(fd, noise.data(), noise.size(), 0));
        ::close(fd);
        std::string output;
        CPPUNIT_ASSERT_EQUAL(70, daemon.runToEnd({}, output));
        CPPUNIT_ASSERT_MESSAGE(output, output.find("stage-agent: the record " +
                                                   (daemon.state() / "record.db").string() +
                                                   " can't be used: ") != std::string::npos);
        const std::string why = "file is not a database";
        CPPUNIT_ASSERT_MESSAGE("said once: " + output, output.find(why) != std::string::npos &&
                                                           output.find(why) == output.rfind(why));
    }

    void testStateFolderThatCannotBeWrittenIsNamed()
    {
        Daemon daemon;
        std::string output;
        CPPUNIT_ASSERT(daemon.runToEnd({"-D", "state.dir=/proc/nowhere"}, output) > 0);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("/proc/nowhere") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("state.dir") != std::string::npos);
    }

    void testPortTakenIsNamed()
    {
        const SilentServer server;
        Daemon daemon;
        std::string output;
        const std::string port = std::to_string(server.port());
        CPPUNIT_ASSERT_EQUAL(70, daemon.runToEnd({"-D", "http.port=" + port}, output));
        CPPUNIT_ASSERT_MESSAGE(
            output, output.find("stage-agent: cannot listen on 127.0.0.1:" + port +
                                ": Address already in use. Set http.") != std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FaultsTest);
