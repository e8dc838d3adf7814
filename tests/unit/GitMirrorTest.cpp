#include "tests/support/GitFixture.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

class GitMirrorTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitMirrorTest);
    CPPUNIT_TEST(testBranchMovesWithTheRepository);
    CPPUNIT_TEST(testKnownCommitNeedsNoRepository);
    CPPUNIT_TEST(testWorkspaceNeedsTheMirrorNoMore);
    CPPUNIT_TEST(testConcurrentStagesShareAMirror);
    CPPUNIT_TEST(testStageWaitsForTheMirror);
    CPPUNIT_TEST(testKilledFetchDoesNotHinderTheNext);
    CPPUNIT_TEST(testStaleLocksAreRemoved);
    CPPUNIT_TEST(testDamagedMirrorIsMadeAnew);
    CPPUNIT_TEST(testServerThatDoesNotAnswerIsNotTakenForDamage);
    CPPUNIT_TEST_SUITE_END();

public:
    void testBranchMovesWithTheRepository()
    {
        commitFile("file", "one");
        passed(checkOut(_origin, "main"));
        git({"-C", _origin, "commit", "-q", "--amend", "-m", "rewritten"});
        git({"-C", _origin, "branch", "topic"});
        passed(checkOut(_origin, "topic"));
        git({"-C", _origin, "branch", "-D", "topic"});
        git({"-C", _origin, "branch", "topic/nested"}); // needs topic to be gone from the mirror
        const std::string commit = commitFile("file", "two");

        CPPUNIT_ASSERT_EQUAL(commit, passed(checkOut(_origin, "main")).outputs.at("commitHash"));
        passed(checkOut(_origin, "topic/nested"));
        assertFailure(checkOut(_origin, "topic"), "no branch, tag or commit 'topic'");
    }

    void testKnownCommitNeedsNoRepository()
    {
        const std::string commit = commitFile("file", "one");
        passed(checkOut(_origin, "main"));
        fs::rename(_origin, _origin + ".away");
        const PluginEnd end = passed(checkOut(_origin, commit));
        CPPUNIT_ASSERT_MESSAGE(end.describe(), end.out.find("fetching") == std::string::npos);
    }

    void testWorkspaceNeedsTheMirrorNoMore()
    {
        commitFile("file", "one");
        const std::string commit = commitFile("file", "two");
        passed(checkOut(_origin, "main"));
        fs::remove_all(_folder.cache());
        const fs::path workspace = _folder.workspace();
        git({"-C", workspace, "fsck", "--strict"});
        git({"-C", workspace, "checkout", "-q", commit + "~1"});
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(workspace / "file"));
        for (const fs::directory_entry& entry :
             fs::recursive_directory_iterator(workspace / ".git/objects"))
            CPPUNIT_ASSERT(entry.is_directory() || entry.hard_link_count() == 1);
    }

    void testConcurrentStagesShareAMirror()
    {
        const std::string commit = commitFile("file", "one");
        constexpr int stages = 4;
        std::vector<std::unique_ptr<PluginFolder>> folders;
        std::vector<std::unique_ptr<PluginProcess>> processes;
        for (int i = 0; i < stages; ++i)
        {
            folders.push_back(std::make_unique<PluginFolder>());
            processes.push_back(std::make_unique<PluginProcess>(
                hostCommand(library(), _folder), settings(_origin, "main", *folders.back())));
        }
        int made = 0;
        for (const auto& process : processes)
        {
            const PluginEnd end = passed(process->wait());
            CPPUNIT_ASSERT_EQUAL(commit, end.outputs.at("commitHash"));
            made += end.out.find("into a new mirror") != std::string::npos ? 1 : 0;
        }
        CPPUNIT_ASSERT_EQUAL(1, made);
    }

    void testStageWaitsForTheMirror()
    {
        commitFile("file", "one");
        passed(checkOut(_origin, "main"));
        fs::path file = mirror();
        const int lock = open(file.replace_extension("lock").c_str(), O_RDWR | O_CLOEXEC);
        CPPUNIT_ASSERT(flock(lock, LOCK_EX | LOCK_NB) == 0);
        PluginProcess process(hostCommand(library(), _folder), settings(_origin, "main", _folder));
        await([&] { return saidOfHost().find("waiting for another stage") != std::string::npos; });
        CPPUNIT_ASSERT(process.running());
        close(lock);
        passed(process.wait());
    }

    /// Symptom: after a kill -9 every stage of the repository fails ("unable to create …lock") or hangs.
    /// Bound: killed at 8 moments, alone or with its gits, the next one passes.
    void testKilledFetchDoesNotHinderTheNext()
    {
        addManyFiles();
        constexpr int moments = 8;
        for (int i = 0; i < moments; ++i)
        {
            {
                PluginProcess process(hostCommand(library(), _folder),
                                      settings(_origin, "main", _folder));
                await([&] { return saidOfHost().find("fetching") != std::string::npos; });
                std::this_thread::sleep_for(std::chrono::milliseconds(10 * i));
                process.kill(i % 2 == 0);
                process.wait();
                // No stage begins in the workspace while a process of the one before it lives.
                await([&] { return !anyoneWorksIn(_folder.path()); });
            }
            const std::string commit = commitFile("file", std::to_string(i));
            const PluginEnd end = passed(checkOut(_origin, "main"));
            CPPUNIT_ASSERT_EQUAL(commit, end.outputs.at("commitHash"));
            git({"-C", _folder.workspace(), "fsck"});
            if (i % 3 == 2)
                fs::remove_all(_folder.cache() / "mirrors"); // so that it hits a first fetch too
        }
    }

    void testStaleLocksAreRemoved()
    {
        commitFile("file", "one");
        passed(checkOut(_origin, "main"));
        commitFile("file", "two");
        for (const char* name : {"HEAD.lock", "config.lock", "packed-refs.lock", "gc.pid",
                                 "refs/heads/main.lock", "objects/pack/tmp_pack_abc"})
            std::ofstream(mirror() / name) << "left behind";
        passed(checkOut(_origin, "main"));
        CPPUNIT_ASSERT(!fs::exists(mirror() / "objects/pack/tmp_pack_abc"));
        CPPUNIT_ASSERT_EQUAL(std::string("two"), contentOf(_folder.workspace() / "file"));
    }

    void testDamagedMirrorIsMadeAnew()
    {
        addManyFiles();
        const std::string commit = commitFile("file", "one");
        const std::vector<void (*)(const fs::path&)> damages{
            [](const fs::path& path) { fs::remove(path / "HEAD"); },
            [](const fs::path& path) { std::ofstream(path / "config") << "[broken"; },
            [](const fs::path& path) { fs::remove_all(path / "objects"); },
            [](const fs::path& path) { std::ofstream(path / "packed-refs") << "noise\n"; },
            [](const fs::path& path) { overwriteObjects(path); }};
        for (std::size_t i = 0; i < damages.size(); ++i)
        {
            passed(checkOut(_origin, "main"));
            damages[i](mirror());
            const PluginEnd end = passed(checkOut(_origin, i % 2 == 0 ? commit : "main"));
            CPPUNIT_ASSERT_EQUAL(commit, end.outputs.at("commitHash"));
            git({"-C", _folder.workspace(), "fsck"});
        }
    }

    void testServerThatDoesNotAnswerIsNotTakenForDamage()
    {
        commitFile("file", "one");
        passed(checkOut(_origin, "main"));
        const auto before = fs::last_write_time(mirror() / "HEAD");
        fs::rename(_origin, _origin + ".away");
        assertFailure(checkOut(_origin, "main"), "git: can't fetch " + _origin + ": ");
        CPPUNIT_ASSERT(before == fs::last_write_time(mirror() / "HEAD"));
    }

private:
    /// What a host that runs in _folder has said until now.
    [[nodiscard]] std::string saidOfHost() const
    {
        return contentOf(_folder.workspace().string() + ".said.out");
    }

    /// Whether a process was started in `folder`, or with a path in it.
    static bool anyoneWorksIn(const fs::path& folder)
    {
        std::error_code gone;
        for (const fs::directory_entry& process : fs::directory_iterator("/proc", gone))
        {
            const std::string place = fs::read_symlink(process.path() / "cwd", gone).string() +
                                      contentOf(process.path() / "cmdline");
            if (place.find(folder.string()) != std::string::npos)
                return true;
        }
        return false;
    }

    static void overwriteObjects(const fs::path& mirror)
    {
        for (const fs::directory_entry& entry :
             fs::recursive_directory_iterator(mirror / "objects"))
        {
            if (entry.is_directory() || entry.path().extension() == ".idx")
                continue;
            fs::permissions(entry.path(), fs::perms::owner_all);
            const std::string noise(fs::file_size(entry.path()) / 2, 'x');
            std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
            file.seekp(40);
            file << noise;
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitMirrorTest);
