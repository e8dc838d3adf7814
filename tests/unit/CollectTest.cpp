// What of a stage's files is kept, by the real shim and the real collector: docs/artifacts.md.
#include "tests/support/Artifacts.h"
#include "tests/support/Collecting.h"
#include "tests/support/SmallDisk.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>

namespace agent
{

using test::again;
using test::assertCause;
using test::inAllContainments;
using test::manifestIn;
using test::prepare;
using test::ShimRun;
using test::store;

namespace fs = std::filesystem;

class CollectTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CollectTest);
    CPPUNIT_TEST(testKeepsWhatThePatternsName);
    CPPUNIT_TEST(testEqualContentsAreStoredOnce);
    CPPUNIT_TEST(testSparseFilesStaySparse);
    CPPUNIT_TEST(testTheEndSaysWhetherFilesAreKept);
    CPPUNIT_TEST(testWhatDoesNotMatchIsNotedAndFailsWhereRequired);
    CPPUNIT_TEST(testNothingIsKeptBeyondALimit);
    CPPUNIT_TEST(testOnlyRegularFilesOfTheWorkspaceAreKept);
    CPPUNIT_TEST(testHostileTreesLeadNowhere);
    CPPUNIT_TEST(testWhatIsSwappedMeanwhileLeadsNowhere);
    CPPUNIT_TEST(testAContentThatWasChangedIsStoredAnew);
    CPPUNIT_TEST(testAFullDiskKeepsNothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void testKeepsWhatThePatternsName()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                prepare(run, {"dist/**", "*.txt"});
                run.shell(
                    "mkdir -p dist/a && printf one >dist/a/b && printf two >\"dist/li\nne\" && "
                    "chmod 4755 dist/a/b && printf x >top.txt && printf no >other && "
                    "mkdir dist/empty");
                const Outcome outcome = run.run();
                CPPUNIT_ASSERT_EQUAL(std::string(), outcome.message);
                CPPUNIT_ASSERT(outcome.succeeded() && outcome.notes.empty());
                CPPUNIT_ASSERT_EQUAL(std::int64_t{3}, outcome.artifacts->files);
                CPPUNIT_ASSERT_EQUAL(std::int64_t{7}, outcome.artifacts->bytes);
                CPPUNIT_ASSERT_EQUAL(
                    test::sha256Of(test::bytesOf(run.folder() / "artifacts.jsonl")),
                    outcome.artifacts->manifest);
                const auto kept = manifestIn(run.folder() / "artifacts.jsonl");
                CPPUNIT_ASSERT_EQUAL(std::size_t{3}, kept.size());
                CPPUNIT_ASSERT_EQUAL(0755U, kept.at("dist/a/b").mode);
                const auto contents = test::contentsIn(store(run));
                CPPUNIT_ASSERT_EQUAL(std::size_t{3}, contents.size());
                CPPUNIT_ASSERT_EQUAL(std::string("one"), contents.at(kept.at("dist/a/b").digest));
                CPPUNIT_ASSERT_EQUAL(std::string("two"),
                                     contents.at(kept.at("dist/li\nne").digest));
                CPPUNIT_ASSERT_EQUAL(std::string("x"), contents.at(kept.at("top.txt").digest));
                test::assertNothingLeft(run);
            });
    }

    void testEqualContentsAreStoredOnce()
    {
        test::inBothContainments(
            [](ShimRun& run)
            {
                prepare(run, {"**"});
                run.shell("printf same >a; printf same >b; head -c 3000000 /dev/zero >c; cp c d");
                CPPUNIT_ASSERT(run.run().succeeded());
                CPPUNIT_ASSERT_EQUAL(std::size_t{2}, test::contentsIn(store(run)).size());
                const auto kept = manifestIn(run.folder() / "artifacts.jsonl");
                const auto before = inodeOf(test::objectOf(store(run), kept.at("c").digest));
                again(run, 2);
                CPPUNIT_ASSERT(run.run().artifacts.has_value());
                CPPUNIT_ASSERT_EQUAL(std::size_t{2}, test::contentsIn(store(run)).size());
                CPPUNIT_ASSERT_EQUAL(before,
                                     inodeOf(test::objectOf(store(run), kept.at("c").digest)));
                CPPUNIT_ASSERT_EQUAL(std::size_t{4}, test::filesBelow(store(run) / "sets"));
            });
    }

    void testSparseFilesStaySparse()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        run.shell("truncate -s 20M holes && printf end >>holes && truncate -s 40M holes && "
                  "truncate -s 9M none");
        CPPUNIT_ASSERT(run.run().artifacts.has_value());
        for (const auto& [path, file] : manifestIn(run.folder() / "artifacts.jsonl"))
        {
            const auto object = test::objectOf(store(run), file.digest);
            struct stat status = {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat(object.c_str(), &status));
            CPPUNIT_ASSERT_EQUAL(static_cast<std::int64_t>(status.st_size), file.size);
            CPPUNIT_ASSERT_MESSAGE(path, status.st_blocks * 512 < 4'000'000);
            CPPUNIT_ASSERT_EQUAL(test::sha256Of(test::bytesOf(run.order.cwd + "/" + path)),
                                 file.digest);
        }
    }

    void testTheEndSaysWhetherFilesAreKept()
    {
        for (const RunsAfter when : {RunsAfter::Success, RunsAfter::Failure, RunsAfter::Always})
            for (const bool succeeds : {true, false})
            {
                ShimRun run(false);
                prepare(run, {"**"});
                run.order.collect->when = when;
                run.shell(succeeds ? "echo x >x" : "echo x >x; exit 3");
                const Outcome outcome = run.run();
                const bool expected =
                    when == RunsAfter::Always || succeeds == (when == RunsAfter::Success);
                CPPUNIT_ASSERT_EQUAL(expected, outcome.artifacts.has_value());
                CPPUNIT_ASSERT_EQUAL(succeeds, outcome.succeeded());
                CPPUNIT_ASSERT(outcome.notes.empty());
            }
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->when = RunsAfter::Failure;
        run.order.timeoutMs = 100;
        run.shell("echo x >x; sleep 300");
        const Outcome outcome = run.run();
        assertCause(Cause::Timeout, outcome);
        CPPUNIT_ASSERT(outcome.artifacts.has_value());
    }

    void testWhatDoesNotMatchIsNotedAndFailsWhereRequired()
    {
        for (const bool required : {false, true})
            for (const bool succeeds : {false, true})
            {
                ShimRun run(false);
                prepare(run, {"dist/**"});
                run.order.collect->when = RunsAfter::Always;
                run.order.collect->required = required;
                run.shell(succeeds ? "true" : "exit 3");
                const Outcome outcome = run.run();
                const bool fails = required && succeeds;
                assertCause(fails ? Cause::Artifacts : Cause::Exit, outcome);
                CPPUNIT_ASSERT_EQUAL(succeeds ? 0 : 3, outcome.exitCode.value_or(-1));
                CPPUNIT_ASSERT_EQUAL(fails ? std::size_t{0} : std::size_t{1}, outcome.notes.size());
                CPPUNIT_ASSERT_EQUAL(std::string(succeeds ? "" : "exited with code 3; ") +
                                         "files: no file matches 'dist/**'",
                                     outcome.message);
                CPPUNIT_ASSERT(!outcome.artifacts);
            }
        // One of two is enough.
        ShimRun run(false);
        prepare(run, {"dist/**", "x"});
        run.order.collect->required = true;
        run.shell("echo >x");
        const Outcome outcome = run.run();
        CPPUNIT_ASSERT(outcome.succeeded() && outcome.artifacts);
        CPPUNIT_ASSERT(outcome.notes == std::vector{Cause::Artifacts});
    }

    void testNothingIsKeptBeyondALimit()
    {
        const struct
        {
            std::int64_t bytes;
            std::int64_t files;
            const char* why;
        } cases[] = {{9'999, 0, "more than artifacts.max_bytes"},
                     {0, 4, "more than artifacts.max_files"},
                     {10'000, 5, ""}};
        for (const auto& [bytes, files, why] : cases)
        {
            ShimRun run(false);
            prepare(run, {"**"});
            run.order.collect->maxBytes = bytes;
            run.order.collect->maxFiles = files;
            run.shell("for i in 1 2 3 4 5; do head -c 2000 /dev/urandom >$i; done");
            const Outcome outcome = run.run();
            CPPUNIT_ASSERT(outcome.succeeded());
            CPPUNIT_ASSERT_MESSAGE(outcome.message, outcome.message.find(why) != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(*why == '\0', outcome.artifacts.has_value());
            CPPUNIT_ASSERT_EQUAL(outcome.artifacts ? std::size_t{5} : std::size_t{0},
                                 test::contentsIn(store(run)).size());
        }
        // A hole counts too, and costs no time.
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->maxBytes = 1 << 20;
        run.shell("truncate -s 4T huge");
        CPPUNIT_ASSERT(!run.run().artifacts);
    }

    void testOnlyRegularFilesOfTheWorkspaceAreKept()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                prepare(run, {"dist"});
                run.shell("mkdir dist && cd dist && ln -s /etc/passwd link && ln -s /etc folder && "
                          "mkfifo fifo && printf x >right");
                const Outcome outcome = run.run();
                CPPUNIT_ASSERT(outcome.succeeded());
                CPPUNIT_ASSERT(outcome.notes == std::vector{Cause::Artifacts});
                CPPUNIT_ASSERT_MESSAGE(
                    outcome.message,
                    outcome.message.find("dist/fifo (a FIFO)") != std::string::npos &&
                        outcome.message.find("dist/link (a symlink)") != std::string::npos);
                CPPUNIT_ASSERT_EQUAL(std::size_t{1},
                                     manifestIn(run.folder() / "artifacts.jsonl").size());
            });
    }

    /// 40 trees; of the secret beside the workspace nothing gets into the store, and nothing hangs.
    void testHostileTreesLeadNowhere()
    {
        const std::vector<std::string> trees{
            "ln -s $S dist",
            "mkdir dist; ln -s $S dist/x",
            "mkdir dist; ln -s $(dirname $S) dist/x",
            "mkdir dist; ln -s / dist/root",
            "mkdir dist; ln -s .. dist/up",
            "mkdir dist; ln -s . dist/loop; ln -s dist dist/dist",
            "mkdir dist; ln -s ../../secret dist/x",
            "mkdir dist; ln -s /proc/self/fd dist/fds",
            "mkdir dist; ln -s /proc/self/root dist/root",
            "mkdir dist; ln -s /dev/zero dist/zero",
            "mkdir dist; ln -s /dev/stdin dist/stdin",
            "mkdir dist; ln -s x dist/y; ln -s y dist/x",
            "mkfifo dist",
            "mkdir dist; mkfifo dist/f",
            "mkdir dist; for i in 1 2 3 4 5 6 7 8 9; do mkfifo dist/$i; done",
            "mkdir dist; mkfifo dist/artifacts.jsonl",
            "mkdir dist; python3 -c 'import socket; "
            "socket.socket(socket.AF_UNIX).bind(\"dist/s\")'",
            "mkdir dist; mknod dist/z c 1 5 2>/dev/null; :",
            "mkdir dist; mknod dist/m b 7 0 2>/dev/null; :",
            "mkdir dist; echo x >dist/u; chmod 6755 dist/u",
            "mkdir dist; echo x >dist/r; chmod 0 dist/r",
            "mkdir -p dist/a; echo x >dist/a/b; chmod 0 dist/a",
            "mkdir dist; echo x >\"dist/$(printf 'a\\nb')\"",
            "mkdir dist; echo x >\"dist/$(printf 'a\\tb\\033[31m')\"",
            "mkdir dist; echo x >\"dist/$(printf '\\377\\376')\"",
            "mkdir dist; echo x >'dist/\"},{\"path\":\"'",
            "mkdir dist; echo x >'dist/..a'; echo y >'dist/...'; echo z >'dist/a..'",
            "mkdir dist; echo x >'dist/a\\b'; echo x >'dist/C:'; echo x >'dist/-rf'; echo x "
            ">'dist/~'",
            "mkdir dist; echo x >\"dist/$(head -c 255 /dev/zero | tr '\\0' a)\"",
            "mkdir dist; cd dist; n=$(head -c 250 /dev/zero | tr '\\0' d); for i in 1 2 3 4 5 6 7 "
            "8 9 "
            "10 11 12 13 14 15 16 17 18 19 20; do mkdir $n && cd $n; done; echo x >x",
            "mkdir dist; cd dist; i=0; while [ $i -lt 700 ]; do mkdir d && cd d; i=$((i+1)); done; "
            "echo x >x",
            "mkdir dist; cd dist; i=0; while [ $i -lt 3000 ]; do : >$i; i=$((i+1)); done",
            "mkdir dist; truncate -s 8E dist/huge 2>/dev/null || truncate -s 15T dist/huge; :",
            "mkdir dist; echo x >dist/a; for i in 1 2 3 4 5 6 7 8; do ln dist/a dist/$i; done",
            "mkdir dist; echo x >dist/new; echo y >dist/lock; echo z >dist/objects",
            "mkdir dist; echo x >dist/x; rm -rf ../ws/dist; ln -s ../ws2 dist",
            "rm -rf ../ws/*; rmdir ../ws 2>/dev/null; :",
            "mkdir dist; ln -s $S dist/a; mkdir dist/b; ln -s ../a dist/b/c; echo x >dist/b/d",
            "mkdir dist; ln -s \"$(printf '%0300d' 0)\" dist/dangling",
            "mkdir dist; touch dist/a; chmod 1777 dist; ln -s a dist/b",
        };
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, trees.size());
        for (const std::string& tree : trees)
        {
            ShimRun run(false);
            prepare(run, {"dist", "dist/**", "**/x"});
            const auto secret = run.folder() / "secret";
            fs::create_directories(secret);
            std::ofstream(secret / "key") << "the secret";
            run.order.env["S"] = (secret / "key").string();
            run.shell(tree);
            const Outcome outcome = run.run();
            for (const auto& [digest, bytes] : test::contentsIn(store(run)))
                CPPUNIT_ASSERT_MESSAGE(tree, bytes != "the secret");
            if (outcome.artifacts)
                for (const auto& [path, file] : manifestIn(run.folder() / "artifacts.jsonl"))
                {
                    CPPUNIT_ASSERT_MESSAGE(tree,
                                           !path.starts_with("/") && !path.starts_with("../"));
                    CPPUNIT_ASSERT_MESSAGE(tree, file.mode <= 0777U);
                    CPPUNIT_ASSERT_MESSAGE(tree,
                                           fs::exists(test::objectOf(store(run), file.digest)));
                }
        }
    }

    /// What another process of the agent's user exchanges while files are collected.
    void testWhatIsSwappedMeanwhileLeadsNowhere()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        const fs::path secret = run.folder() / "secret";
        fs::create_directories(secret / "d");
        std::ofstream(secret / "d" / "f") << "the secret";
        run.shell("for i in $(seq 200); do mkdir d$i && echo $i >d$i/f; done");
        CPPUNIT_ASSERT(run.run().succeeded()); // the stage itself shall not meet a FIFO
        run.shell("true");
        std::atomic<bool> done = false;
        std::thread swapper(
            [&]
            {
                const fs::path workspace = run.order.cwd;
                std::error_code ignored;
                for (int i = 1; !done; i = i % 200 + 1)
                {
                    const auto folder = workspace / ("d" + std::to_string(i));
                    const auto aside = run.folder() / "aside";
                    fs::rename(folder, aside, ignored);
                    fs::create_symlink(secret / "d", folder, ignored);
                    fs::remove(folder, ignored);
                    fs::rename(aside, folder, ignored);
                    fs::rename(folder / "f", aside, ignored);
                    fs::create_symlink(secret / "d" / "f", folder / "f", ignored);
                    fs::remove(folder / "f", ignored);
                    ::mkfifo((folder / "f").c_str(), 0600);
                    fs::remove(folder / "f", ignored);
                    fs::rename(aside, folder / "f", ignored);
                }
            });
        int attempt = 1;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
        try
        {
            do
            {
                again(run, ++attempt);
                run.run();
                for (const auto& [digest, bytes] : test::contentsIn(store(run)))
                    CPPUNIT_ASSERT(bytes != "the secret");
            } while (std::chrono::steady_clock::now() < end);
        }
        catch (...)
        {
            done = true;
            swapper.join();
            throw;
        }
        done = true;
        swapper.join();
    }

    /// A stage without a sandbox can do that; one that keeps the size is found by who compares the digest.
    void testAContentThatWasChangedIsStoredAnew()
    {
        ShimRun run(false);
        prepare(run, {"a"});
        run.shell("printf right >a");
        CPPUNIT_ASSERT(run.run().artifacts.has_value());
        const auto object = test::objectOf(store(run), test::sha256Of("right"));
        for (const auto& spoil : {std::string("rm -f "), std::string("printf longer > ")})
        {
            fs::permissions(object, fs::perms::owner_all);
            const std::string command =
                (spoil + object.string())
                    .append(spoil.starts_with("rm") ? "; ln -s /etc/passwd " + object.string()
                                                    : "");
            CPPUNIT_ASSERT_EQUAL(0, std::system(command.c_str()));
            again(run, spoil.starts_with("rm") ? 2 : 3);
            CPPUNIT_ASSERT(run.run().artifacts.has_value());
            CPPUNIT_ASSERT_EQUAL(std::string("right"), test::bytesOf(object));
            CPPUNIT_ASSERT(!fs::is_symlink(object));
        }
    }

    void testAFullDiskKeepsNothing()
    {
        const SmallDisk disk("4m");
        if (!disk.mounted())
            return;
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->store = (disk.path() / "artifacts").string();
        run.order.collect->required = true;
        run.shell("for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/urandom >$i; done");
        const Outcome outcome = run.run();
        assertCause(Cause::Artifacts, outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("files: nothing was kept: the disk is full"),
                             outcome.message);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, test::contentsIn(disk.path() / "artifacts").size());
    }

private:
    static std::uint64_t inodeOf(const fs::path& file)
    {
        struct stat status = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(file.c_str(), &status));
        return status.st_ino;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CollectTest);

} // namespace agent
