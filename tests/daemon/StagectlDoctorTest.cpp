// `stagectl doctor` as the operator sees it: with and without an agent, in a pipe, on a terminal, as another user.
#include "tests/support/DoctorFixture.h"
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"
#include "tests/support/TerminalProgram.h"

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>

#include <functional>
#include <thread>

namespace fs = std::filesystem;

using agent::test::contentOf;
using agent::test::DoctorFixture;
using agent::test::Ended;
using agent::test::listOf;
using agent::test::runProgram;
using agent::test::Seen;
using agent::test::shell;
using agent::test::TerminalProgram;
using Poco::Net::Socket;
using Poco::Net::StreamSocket;

namespace
{

/// Returns everything in a folder that a check could change: names, types, modes, sizes, times, contents.
std::map<std::string, std::string> pictureOf(const fs::path& folder)
{
    std::map<std::string, std::string> picture;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
    {
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::lstat(entry.path().c_str(), &info));
        picture[entry.path().string()] =
            std::to_string(info.st_mode) + " " + std::to_string(info.st_ino) + " " +
            std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + " " +
            (S_ISREG(info.st_mode) ? contentOf(entry.path()) : "");
    }
    struct stat info = {};
    ::lstat(folder.c_str(), &info);
    picture[folder.string()] =
        std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
    return picture;
}

/// A server that handles one client after the other.
class LocalServer
{
public:
    explicit LocalServer(std::function<void(StreamSocket&)> serve)
        : _thread(
              [this, serve = std::move(serve)](const std::stop_token& end)
              {
                  while (!end.stop_requested())
                      if (_socket.poll(Poco::Timespan(0, 50'000), Socket::SELECT_READ))
                      {
                          StreamSocket client = _socket.acceptConnection();
                          serveOne(serve, client);
                      }
              })
    {
    }

    [[nodiscard]] std::string host() const { return _socket.address().toString(); }
    [[nodiscard]] std::string url() const { return "http://" + host(); }

private:
    static void serveOne(const std::function<void(StreamSocket&)>& serve, StreamSocket& client)
    {
        try
        {
            serve(client);
        }
        catch (const Poco::Exception&)
        {
            client.close(); // one side has ended; the test checks its client
        }
    }

    Poco::Net::ServerSocket _socket{Poco::Net::SocketAddress("127.0.0.1", 0)};
    std::jthread _thread;
};

/// Forwards bytes in both directions until one side has ended, as a tunnel does.
void carry(StreamSocket& client, const std::string& address)
{
    StreamSocket server{Poco::Net::SocketAddress(address)};
    char bytes[4096];
    while (true)
    {
        Socket::SocketList readable{client, server};
        Socket::SocketList writable;
        Socket::SocketList failed;
        if (Socket::select(readable, writable, failed, Poco::Timespan(30, 0)) == 0)
            return;
        for (const Socket& from : readable)
        {
            StreamSocket& to = from == client ? server : client;
            const int size = StreamSocket(from).receiveBytes(bytes, sizeof bytes);
            if (size <= 0)
                return;
            to.sendBytes(bytes, size);
        }
    }
}

} // namespace

class StagectlDoctorTest: public DoctorFixture
{
    CPPUNIT_TEST_SUITE(StagectlDoctorTest);
    CPPUNIT_TEST(testAllChecksPassWithARunningAgent);
    CPPUNIT_TEST(testTheHostIsCheckedWithoutAnAgent);
    CPPUNIT_TEST(testAsksEachOfSeveralAgents);
    CPPUNIT_TEST(testChecksTheTokenFile);
    CPPUNIT_TEST(testReportsAnInvalidSettingsLine);
    CPPUNIT_TEST(testLeavesTheStateFolderUnchanged);
    CPPUNIT_TEST(testADrainingAgentAndAMalformedAddress);
    CPPUNIT_TEST(testATunnelFromAnotherPortIsRefusedUntilConfigured);
    CPPUNIT_TEST(testReportsAnotherServer);
    CPPUNIT_TEST(testJsonHasTheFindingsOfTheTable);
    CPPUNIT_TEST(testColoursOnATerminalOnly);
    CPPUNIT_TEST(testReportsAnotherUser);
    CPPUNIT_TEST(testChecksOnlyTheAgentWithoutItsProgram);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAllChecksPassWithARunningAgent()
    {
        _daemon.writeService("payment",
                             "name: payment\nsecrets: [NPM_TOKEN]\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
        _daemon.writeSecret("NPM_TOKEN", "a-long-enough-one\n");
        ::chmod((_daemon.folder() / "secrets").c_str(), 0700);
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        const auto all = examined(0);
        for (const char* check :
             {"agent", "ready", "version", "token", "user", "configuration", "access", "record",
              "disk", "kernel", "programs", "plugins", "services", "secrets", "git", "port"})
            assertSeen(all, check, "ok", "");
        assertSeen(all, "agent", "ok", _daemon.url() + " (--agent) is healthy");
        assertSeen(all, "state folder", "",
                   "in use by the agent with pid " + std::to_string(_daemon.pid()));
        assertSeen(all, "port", "ok", _daemon.url());
        assertSeen(all, "services", "ok", "1 in ");
        assertSeen(all, "isolation", "", "sandbox");
        assertSeen(all, "plugins", "ok", "shell ");
        assertSeen(all, "cgroups", "", "the running agent");
        assertSeen(all, "clock", "", "Z");
        for (const Seen& each : all)
        {
            CPPUNIT_ASSERT_MESSAGE(each.check + ": " + each.seen, each.status != "fail");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(each.seen, each.status == "ok", each.advice.empty());
        }
    }

    void testTheHostIsCheckedWithoutAnAgent()
    {
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        const auto all = examined(1);
        assertSeen(all, "agent", "fail", "no answer from " + _daemon.url());
        assertSeen(all, "state folder", "", "not in use");
        assertSeen(all, "record", "ok", "can be opened, schema ");
        assertSeen(all, "port", "ok", "127.0.0.1:0");
        for (const char* check : {"configuration", "kernel", "programs", "plugins", "git"})
            assertSeen(all, check, "ok", "");
    }

    void testAsksEachOfSeveralAgents()
    {
        _daemon.start();
        const std::string nobody = "http://127.0.0.1:1";
        const auto all = examined(1, {"--agent", nobody, "--agent", _daemon.url()});
        assertSeen(all, "agent", "fail", nobody);
        assertSeen(all, "agent", "ok", _daemon.url() + " (--agent) is healthy");
        // Both have the same host, so the port is shown too.
        const std::string address = _daemon.url().substr(std::string("http://").size());
        assertSeen(all, "ready", "ok", address + ": ");
        assertSeen(all, "version", "ok", address + ": ");
        assertSeen(all, "kernel", "ok", ""); // the host is checked once
    }

    void testChecksTheTokenFile()
    {
        _daemon.start();
        const fs::path file = _daemon.folder() / "token";
        std::ofstream(file) << _daemon.token() << "\n";
        const std::vector<std::string> option{"--token-file", file.string()};
        ::chmod(file.c_str(), 0644);
        assertSeen(examined(1, option), "token", "fail",
                   file.string() + " is accessible to all users of this host");
        ::chmod(file.c_str(), 0600);
        assertSeen(examined(0, option), "token", "ok", "from " + file.string());
        std::ofstream(file) << "t-o-k-e-n\n";
        assertSeen(examined(1, option), "token", "fail",
                   "the agent refuses that of " + file.string());
        fs::remove(file);
        const auto gone = examined(1, option);
        assertSeen(gone, "token", "fail", "can't read the token file " + file.string());
        assertSeen(gone, "kernel", "ok", ""); // the host is checked anyway
    }

    void testReportsAnInvalidSettingsLine()
    {
        const fs::path home = _daemon.folder() / "home";
        fs::create_directories(home);
        std::ofstream(home / "stagectl") << "agnet = http://127.0.0.1:1\n";
        const auto ended = runProgram({program(), "--json", "doctor", "--config", _config.string()},
                                      _daemon.folder(), {{"XDG_CONFIG_HOME", home.string()}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out, 1, ended.exitCode);
        const auto all = parsed(ended);
        assertSeen(all, "settings", "fail", (home / "stagectl").string() + ":1");
        std::ofstream(home / "stagectl") << "# mine\nagent = foo\n";
        const auto address =
            parsed(runProgram({program(), "--json", "doctor", "--config", _config.string()},
                              _daemon.folder(), {{"XDG_CONFIG_HOME", home.string()}}));
        assertSeen(address, "settings", "fail",
                   (home / "stagectl").string() + ":2: the agent's address must be");
        CPPUNIT_ASSERT(!holds(oneOf(address, "settings").advice, "--agent"));
        CPPUNIT_ASSERT(oneOf(all, "token").status.empty());
        assertSeen(all, "kernel", "ok", "");
    }

    void testLeavesTheStateFolderUnchanged()
    {
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        assertUntouched("stopped");
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        agent::test::waitFor("the record to be checked",
                             [&] { return fs::exists(_daemon.state() / "record.checked"); });
        agent::test::waitUntilSynced(_daemon.state());
        assertUntouched("running");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/healthz").status);
        _daemon.kill();
        CPPUNIT_ASSERT(fs::exists(_daemon.state() / "record.db-wal"));
        // The keeper of the port ends by itself then.
        agent::test::waitFor("the end of the keeper",
                             [&] { return !fs::exists(_daemon.state() / "keeper.sock"); });
        assertUntouched("killed");
        assertSeen(examined(1, {"--record"}), "record", "ok", "intact");
    }

    void testADrainingAgentAndAMalformedAddress()
    {
        _daemon.start();
        _daemon.post("/api/agent/drain");
        const auto all = examined(0);
        assertSeen(all, "ready", "warn", "draining");
        CPPUNIT_ASSERT(holds(oneOf(all, "ready").advice, "stagectl resume"));
        assertSeen(examined(1, {"--agent", "ftp://host"}), "agent", "fail", "http://HOST");
    }

    /// As through `ssh -L 9797:127.0.0.1:7824`: the client's port is not the agent's.
    void testATunnelFromAnotherPortIsRefusedUntilConfigured()
    {
        _daemon.start();
        const std::string agent = _daemon.url().substr(std::string("http://").size());
        const LocalServer tunnel([&](StreamSocket& client) { carry(client, agent); });
        const std::string add = "add " + tunnel.host() + " to the agent's http.hosts";
        const Ended refused = run({"--agent", tunnel.url(), "runs"});
        CPPUNIT_ASSERT_EQUAL(3, refused.exitCode);
        CPPUNIT_ASSERT_MESSAGE(refused.err, holds(refused.err, "\nstagectl:   " + add + "\n"));
        const auto all = examined(1, {"--agent", tunnel.url()});
        CPPUNIT_ASSERT_EQUAL(add, oneOf(all, "agent").advice);
        // The advice works.
        const std::string port = _daemon.url().substr(_daemon.url().rfind(':') + 1);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.set("http.port", port);
        _daemon.set("http.hosts", tunnel.host());
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(0, run({"--agent", tunnel.url(), "runs"}).exitCode);
    }

    void testReportsAnotherServer()
    {
        const LocalServer page(
            [](StreamSocket& client)
            {
                std::string request;
                char piece[1024];
                while (request.find("\r\n\r\n") == std::string::npos)
                {
                    const int size = client.receiveBytes(piece, sizeof piece);
                    if (size <= 0)
                        return;
                    request.append(piece, static_cast<std::size_t>(size));
                }
                const std::string none =
                    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n"
                    "Content-Length: 9\r\nConnection: close\r\n\r\nno page\r\n";
                client.sendBytes(none.data(), static_cast<int>(none.size()));
            });
        const auto all = examined(1, {"--agent", page.url()});
        assertSeen(all, "agent", "fail", page.url() + " (--agent) answers 404");
        const std::string advice = oneOf(all, "agent").advice;
        CPPUNIT_ASSERT_MESSAGE(advice, holds(advice, "check the address"));
        CPPUNIT_ASSERT(oneOf(all, "version").status.empty());
    }

    void testJsonHasTheFindingsOfTheTable()
    {
        _daemon.start();
        const Ended table = run({"doctor", "--config", _config.string()});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(table.out, 0, table.exitCode);
        const auto all = examined(0);
        std::size_t at = 0;
        for (const Seen& each : all)
        {
            at = table.out.find(each.status + std::string(6 - each.status.size(), ' ') + each.check,
                                at);
            CPPUNIT_ASSERT_MESSAGE(each.check + " in its place in\n" + table.out,
                                   at != std::string::npos);
            if (!each.advice.empty())
                CPPUNIT_ASSERT(holds(table.out, "  -> " + each.advice + "\n"));
        }
        CPPUNIT_ASSERT(holds(table.out, " 0 fail\n"));
    }

    void testColoursOnATerminalOnly()
    {
        _daemon.start();
        configure({{"disk.min_free", "1000000G"}});
        const std::vector<std::string> line{program(), "--agent",  _daemon.url(),
                                            "doctor",  "--config", _config.string()};
        const Ended plain = runProgram(line, _daemon.folder());
        CPPUNIT_ASSERT_EQUAL(1, plain.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string::npos, plain.out.find('\x1b'));
        CPPUNIT_ASSERT(holds(plain.out, "fail  disk"));
        TerminalProgram terminal(line, {"TERM=xterm"}, 100, 60);
        CPPUNIT_ASSERT_EQUAL(1, terminal.end());
        CPPUNIT_ASSERT(holds(terminal.written(), "\x1b[31mfail\x1b[0m  disk"));
        CPPUNIT_ASSERT(holds(terminal.written(), "\x1b[32mok\x1b[0m    agent"));
        TerminalProgram sober(line, {"TERM=xterm", "NO_COLOR=1"}, 100, 60);
        CPPUNIT_ASSERT_EQUAL(1, sober.end());
        CPPUNIT_ASSERT(!holds(sober.written(), "\x1b["));
    }

    void testReportsAnotherUser()
    {
        if (!asRoot())
            return;
        _daemon.start();
        const std::vector<std::string> line{"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                            "--clear-groups",   program(),       "--agent",
                                            _daemon.url(),      "--json",        "doctor",
                                            "--config",         _config.string()};
        const Ended ended = runProgram(line, _daemon.folder());
        if (ended.exitCode == 127)
        {
            std::cout << " (skipped: nobody may not execute the build) " << std::flush;
            return;
        }
        const auto all = parsed(ended);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out, 0, ended.exitCode);
        assertSeen(all, "user", "warn", "nobody, but the agent's user is root");
        CPPUNIT_ASSERT(holds(oneOf(all, "user").advice, "sudo stagectl doctor"));
        assertSeen(all, "kernel", "ok", "");
        assertSeen(all, "agent", "ok", "");
        CPPUNIT_ASSERT(oneOf(all, "state folder").status.empty());
    }

    void testChecksOnlyTheAgentWithoutItsProgram()
    {
        _daemon.start();
        const fs::path alone = _daemon.folder() / "alone" / "stagectl";
        fs::create_directories(alone.parent_path());
        fs::copy_file(program(), alone);
        const Ended ended = runProgram(
            {alone.string(), "--agent", _daemon.url(), "--json", "doctor"}, _daemon.folder());
        const auto all = parsed(ended);
        CPPUNIT_ASSERT_EQUAL(0, ended.exitCode);
        assertSeen(all, "agent", "ok", "");
        assertSeen(all, "host", "warn", "stage-agent not found");
        std::ofstream(alone.parent_path() / "stage-agent")
            << "#!/bin/sh\necho 'too old' >&2\nexit 64\n";
        ::chmod((alone.parent_path() / "stage-agent").c_str(), 0755);
        const Ended broken = runProgram(
            {alone.string(), "--agent", _daemon.url(), "--json", "doctor"}, _daemon.folder());
        CPPUNIT_ASSERT_EQUAL(1, broken.exitCode);
        assertSeen(parsed(broken), "host", "fail", "exit code 64: too old");
    }

private:
    void assertUntouched(const std::string& when) const
    {
        const auto before = pictureOf(_daemon.state());
        (void)run({"doctor", "--config", _config.string()});
        const auto after = pictureOf(_daemon.state());
        for (const auto& [path, content] : before)
            // Where readers say what they read: the daemon's own do while it answers.
            if (when != "running" || !path.ends_with("record.db-shm"))
                CPPUNIT_ASSERT_MESSAGE(when + ": " + path,
                                       after.contains(path) && after.at(path) == content);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(when, before.size(), after.size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlDoctorTest);
