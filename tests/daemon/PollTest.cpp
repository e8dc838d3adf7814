#include "tests/support/AccessFixture.h"
#include "tests/support/HookPayloads.h"
#include "tests/support/HostileGitServer.h"
#include "tests/support/Program.h"
#include "tests/support/Targets.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <filesystem>
#include <fstream>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::HostileGitServer;
using agent::test::waitFor;

/// A push to a repository whose forge can't reach the agent: docs/hooks.md, "Polling".
class PollTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(PollTest);
    CPPUNIT_TEST(testAPushBecomesARun);
    CPPUNIT_TEST(testWhatWasThereBeforeIsNotNew);
    CPPUNIT_TEST(testNoChangeIsMissedAndNoneRunsTwiceOverKills);
    CPPUNIT_TEST(testOfTenThousandBranchesOneThatChangedRuns);
    CPPUNIT_TEST(testAPushThatAHookTellsOfTooRunsOnce);
    CPPUNIT_TEST(testAServerThatLostItsBranchesIsNotBelieved);
    CPPUNIT_TEST(testWhatIsPolledNoMoreIsForgotten);
    CPPUNIT_TEST(testServersThatHangOrFloodHoldUpNoOther);
    CPPUNIT_TEST(testPollingNeedsRules);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAPushBecomesARun()
    {
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        const std::string commit = push("main");
        push("other");
        const auto runs = awaitRuns(1);
        CPPUNIT_ASSERT_EQUAL(commit, std::string(runs[0]["commitHash"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), std::string(runs[0]["branch"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("MAIN"), std::string(runs[0]["triggerType"].GetString()));
        git({"tag", "-a", "v1", "-m", "one"});
        git({"push", "-q", "origin", "v1"});
        const auto both = awaitRuns(2);
        CPPUNIT_ASSERT_EQUAL(std::string("v1"), std::string(both[0]["branch"].GetString()));
        // The commit, not the tag's own object.
        CPPUNIT_ASSERT_EQUAL(git({"rev-parse", "HEAD"}),
                             std::string(both[0]["commitHash"].GetString()));
        const auto deliveries = _daemon.get("/api/hooks/deliveries").json();
        CPPUNIT_ASSERT_EQUAL(2U, deliveries.Size());
        const auto& last = deliveries[0];
        CPPUNIT_ASSERT_EQUAL(std::string("poll"), std::string(last["forge"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string(both[0]["id"].GetString()),
                             std::string(last["runIds"][0].GetString()));
    }

    void testWhatWasThereBeforeIsNotNew()
    {
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        // What somebody has run by hand already neither.
        const std::string commit = commitHere();
        const auto made = _daemon.post(
            "/api/runs", R"({"service":"payment","branch":"main","commit":")" + commit + R"("})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        git({"push", "-q", "origin", "HEAD:main"});
        git({"push", "-q", "origin", "HEAD:release/1"});
        const auto runs = awaitRuns(2);
        CPPUNIT_ASSERT_EQUAL(std::string("release/1"), std::string(runs[0]["branch"].GetString()));
        push("main");
        CPPUNIT_ASSERT_EQUAL(3U, awaitRuns(3).Size());
    }

    void testNoChangeIsMissedAndNoneRunsTwiceOverKills()
    {
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        for (int round = 1; round <= 4; ++round)
        {
            if (round % 2 == 1)
                _daemon.kill();
            push("main");
            if (round % 2 == 1)
                _daemon.start();
            else
            {
                _daemon.kill(); // perhaps between the run and the note of it
                _daemon.start();
            }
            awaitRuns(static_cast<unsigned>(round));
        }
        push("release/end");
        CPPUNIT_ASSERT_EQUAL(5U, awaitRuns(5).Size());
    }

    void testOfTenThousandBranchesOneThatChangedRuns()
    {
        makeOrigin();
        const std::string commit = git({"rev-parse", "HEAD"});
        {
            std::ofstream refs(std::filesystem::path(origin()) / "packed-refs");
            refs << "# pack-refs with: peeled fully-peeled sorted \n";
            for (int i = 10'000; i < 20'000; ++i)
                refs << commit << " refs/heads/release/" << i << "\n";
        }
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        const std::string changed = push("release/12345");
        const auto runs = awaitRuns(1);
        CPPUNIT_ASSERT_EQUAL(changed, std::string(runs[0]["commitHash"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("release/12345"),
                             std::string(runs[0]["branch"].GetString()));
        // Of more than 50,000 none.
        const std::string packed = origin() + "/packed-refs";
        std::filesystem::copy_file(packed, packed + ".more");
        {
            std::ofstream refs(packed + ".more", std::ios::app);
            for (int i = 20'000; i < 61'000; ++i)
                refs << commit << " refs/heads/release/" << i << "\n";
        }
        std::filesystem::rename(packed + ".more", packed);
        awaitOutput("can't be polled (it has more than 50,000 branches and tags)");
        awaitRuns(1);
    }

    void testAPushThatAHookTellsOfTooRunsOnce()
    {
        _daemon.set("hooks.secret", "HOOKS");
        _daemon.writeSecret("HOOKS", secret + "\n");
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        const std::string polled = push("main");
        awaitRuns(1);
        for (int time = 0; time < 2; ++time)
        {
            const Answer late = hook("1", polled, "main");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(late.body, 200, late.status);
            CPPUNIT_ASSERT_MESSAGE(late.body, late.body.find("polling has started it already") !=
                                                  std::string::npos);
        }
        const std::string told = commitHere();
        CPPUNIT_ASSERT_EQUAL(201, hook("2", told, "release/1").status);
        git({"push", "-q", "origin", "HEAD:refs/heads/release/1"});
        push("release/2");
        const auto runs = awaitRuns(3);
        CPPUNIT_ASSERT_EQUAL(std::string("release/2"), std::string(runs[0]["branch"].GetString()));
    }

    /// Symptom: each branch ran. Cause: an empty answer was remembered, and all was new when the branches were back.
    void testAServerThatLostItsBranchesIsNotBelieved()
    {
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        const std::string commit = git({"rev-parse", "HEAD"});
        git({"-C", origin(), "update-ref", "-d", "refs/heads/main"});
        awaitOutput("can't be polled (it has no branches and tags any more)");
        git({"-C", origin(), "update-ref", "refs/heads/main", commit});
        awaitOutput("can be polled again");
        push("release/1");
        const auto runs = awaitRuns(1);
        CPPUNIT_ASSERT_EQUAL(std::string("release/1"), std::string(runs[0]["branch"].GetString()));
    }

    void testWhatIsPolledNoMoreIsForgotten()
    {
        makeOrigin();
        writeService("payment", origin());
        _daemon.start();
        awaitKnown(1);
        // While a service can't be read, it may be the one that polls.
        _daemon.writeService("broken", "name: broken\nstages: 1\n");
        _daemon.writeService("payment", service("payment") + "repository: " + origin() + "\n");
        agent::test::reload(_daemon);
        CPPUNIT_ASSERT_EQUAL(1L, known());
        _daemon.writeService("broken", service("broken"));
        agent::test::reload(_daemon);
        waitFor("it to be forgotten", [&] { return known() == 0; });
        push("main");
        writeService("payment", origin());
        agent::test::reload(_daemon);
        awaitKnown(1);
        push("release/1");
        const auto runs = awaitRuns(1);
        CPPUNIT_ASSERT_EQUAL(std::string("release/1"), std::string(runs[0]["branch"].GetString()));
    }

    /// Each has 30 s, 16 MiB and 256 MiB of memory.
    void testServersThatHangOrFloodHoldUpNoOther()
    {
        makeOrigin();
        HostileGitServer hanging("127.0.0.2", HostileGitServer::Behaviour::Hangs);
        HostileGitServer flooding("127.0.0.3", HostileGitServer::Behaviour::Floods);
        writeService("hanging", hanging.url());
        writeService("flooding", flooding.url());
        writeService("payment", origin());
        _daemon.start();
        const long atStart = largestKiB();
        waitFor("both to be asked", [&] { return hanging.asked > 0 && flooding.asked > 0; });
        awaitKnown(1);
        push("main");
        awaitRuns(1);
        const auto told = [&](const std::string& url)
        {
            return _daemon.output().find("the repository " + url + " can't be polled (") !=
                   std::string::npos;
        };
        waitFor(
            "the flood's end", [&] { return told(flooding.url()); }, 60);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(flooding.sent), flooding.sent < (1ULL << 30));
        waitFor(
            "the end of the wait", [&] { return told(hanging.url()); }, 60);
        const long more = largestKiB() - atStart;
        CPPUNIT_ASSERT_MESSAGE(std::to_string(more), more < 160 * 1024);
        // While it hangs again, the agent ends at once, and no git stays.
        const int before = hanging.asked;
        waitFor(
            "another look", [&] { return hanging.asked > before; }, 60);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        CPPUNIT_ASSERT_EQUAL(std::string(), processesThatNameIt(hanging.url()));
        CPPUNIT_ASSERT_EQUAL(std::string(), processesThatNameIt(flooding.url()));
    }

    void testPollingNeedsRules()
    {
        _daemon.writeService(
            "payment", "name: payment\nrepository: /srv/git/payment.git\npoll: 1m\n"
                       "stages: [{ type: BUILD, plugin: shell, with: { command: 'true' } }]\n");
        std::string output;
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({"--check"}, output));
        CPPUNIT_ASSERT_MESSAGE(output, output.find("payment.yaml:3: poll: needs the key on") !=
                                           std::string::npos);
    }

private:
    static inline const std::string secret = "correct horse battery staple";

    [[nodiscard]] std::string origin() const { return (_daemon.folder() / "origin.git").string(); }
    [[nodiscard]] std::string clone() const { return (_daemon.folder() / "clone").string(); }

    std::string git(std::vector<std::string> words) const
    {
        std::vector<std::string> line{"/usr/bin/git",
                                      "-C",
                                      clone(),
                                      "-c",
                                      "user.name=Ada",
                                      "-c",
                                      "user.email=ada@example.org"};
        line.insert(line.end(), words.begin(), words.end());
        const auto ended = agent::test::runProgram(
            line, _daemon.folder(), {{"GIT_CONFIG_NOSYSTEM", "1"}, {"HOME", "/nonexistent"}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        return ended.out.substr(0, ended.out.find('\n'));
    }

    /// A repository with one commit on main, and a clone of it.
    void makeOrigin() const
    {
        std::filesystem::create_directories(clone());
        git({"init", "-q", "--bare", "-b", "main", origin()});
        git({"init", "-q", "-b", "main"});
        git({"remote", "add", "origin", origin()});
        push("main");
    }

    std::string commitHere() const
    {
        git({"commit", "-q", "--allow-empty", "-m", "a change"});
        return git({"rev-parse", "HEAD"});
    }

    std::string push(const std::string& branch) const
    {
        const std::string commit = commitHere();
        git({"push", "-q", "-f", "origin", "HEAD:refs/heads/" + branch});
        return commit;
    }

    void writeService(const std::string& name, const std::string& repository)
    {
        _daemon.writeService(name,
                             "name: " + name + "\nrepository: " + repository +
                                 "\npoll: 1s\non: { push: { branches: [main, 'release/*'] }, "
                                 "tags: ['v*'] }\nstages:\n"
                                 "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
    }

    /// Waits until so many repositories were asked once.
    void awaitKnown(long count) const
    {
        waitFor("the first look", [&] { return known() >= count; });
    }

    /// Of how many repositories something is known.
    [[nodiscard]] long known() const
    {
        long found = 0;
        std::error_code none;
        for (const auto& entry :
             std::filesystem::directory_iterator(_daemon.state() / "polled", none))
            found += entry.path().extension() == ".new" ? 0 : 1;
        return found;
    }

    void awaitOutput(const std::string& text) const
    {
        waitFor(text, [&] { return _daemon.output().find(text) != std::string::npos; });
    }

    /// Tells of a push as GitHub does.
    [[nodiscard]] Answer hook(const std::string& id, const std::string& commit,
                              const std::string& branch) const
    {
        // https:///path.git has the name of the path.
        const std::string name = origin().substr(1, origin().size() - 5);
        std::string ref = "refs/heads/";
        ref.append(branch);
        const std::string body =
            agent::test::pushJson({.repository = name, .ref = ref, .commit = commit}, "");
        auto headers = agent::test::githubHeaders("push", id, body, secret);
        headers["Authorization"] = "";
        return _daemon.request("POST", "/hooks/github", body, headers);
    }

    rapidjson::Document awaitRuns(unsigned count)
    {
        rapidjson::Document runs;
        waitFor(std::to_string(count) + " runs",
                [&]
                {
                    runs = _daemon.get("/api/runs").json();
                    return runs.Size() >= count;
                });
        CPPUNIT_ASSERT_EQUAL(count, runs.Size());
        return runs;
    }

    /// The most memory that the daemon ever had.
    [[nodiscard]] long largestKiB() const
    {
        std::ifstream status("/proc/" + std::to_string(_daemon.pid()) + "/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("VmHWM:"))
                return std::stol(line.substr(6));
        return -1;
    }

    static std::string processesThatNameIt(const std::string& text)
    {
        std::string found;
        std::error_code gone;
        for (const auto& entry : std::filesystem::directory_iterator("/proc", gone))
        {
            std::ifstream file(entry.path() / "cmdline");
            const std::string line((std::istreambuf_iterator<char>(file)), {});
            if (line.find(text) != std::string::npos)
                found += entry.path().filename().string() + " ";
        }
        return found;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PollTest);
