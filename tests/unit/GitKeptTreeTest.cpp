// A workspace that is kept: whatever an earlier run left in it, the next one finds what a fresh checkout makes.
#include "tests/support/GitFixture.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>

namespace fs = std::filesystem;

class GitKeptTreeTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitKeptTreeTest);
    CPPUNIT_TEST(testCleanIsAsAFreshCheckout);
    CPPUNIT_TEST(testFilesThatAreRightAreNotWritten);
    CPPUNIT_TEST(testAnotherCommitIsAsAFreshCheckout);
    CPPUNIT_TEST(testNothingOfTheRepositoryIsTrusted);
    CPPUNIT_TEST(testWhatStandsInPlaceOfFilesAndFoldersIsReplaced);
    CPPUNIT_TEST(testFoldersWithoutRightsAndDeepOnesGo);
    CPPUNIT_TEST(testModesAndHardLinksAreMadeAnew);
    CPPUNIT_TEST(testAttributesOfAStageCountForNothing);
    CPPUNIT_TEST(testConvertedFilesAreWrittenAnew);
    CPPUNIT_TEST(testReuseKeepsWhatTheCommitIgnores);
    CPPUNIT_TEST(testReuseBelievesTheCommitsRulesOnly);
    CPPUNIT_TEST(testOfAnotherBranchNothingIsTouched);
    CPPUNIT_TEST(testDepthAndSubmodules);
    CPPUNIT_TEST(testWhatAKilledOneLeftGoes);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        commitFile("a.c", "int a;\n");
        commitFile("lib/b.c", "int b;\n");
        commitFile("lib/deep/c.c", "int c;\n");
        commitFile(".gitignore", "*.o\nbuild/\n");
        fs::create_symlink("lib/b.c", fs::path(_origin) / "link");
        std::ofstream(fs::path(_origin) / "run.sh") << "#!/bin/sh\n";
        fs::permissions(fs::path(_origin) / "run.sh", fs::perms(0755));
        commitFile("z", "z\n");
    }

    void testCleanIsAsAFreshCheckout()
    {
        kept("clean");
        sh("echo changed >a.c; rm lib/b.c; mkdir -p build new/x; echo o >lib/b.o; echo n >new/x/y; "
           "touch build/made");
        kept("clean");
        same();
    }

    void testFilesThatAreRightAreNotWritten()
    {
        kept("clean");
        const auto inode = [this](const char* file)
        {
            struct stat info = {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat((_folder.workspace() / file).c_str(), &info));
            return info.st_ino;
        };
        sh("touch -d 2001-01-01 lib/b.c; touch -d 2001-01-01 a.c; echo 'int x;' >a.c; "
           "touch -d 2001-01-01 a.c");
        const auto right = inode("lib/b.c");
        const auto wrong = inode("a.c");
        kept("clean");
        CPPUNIT_ASSERT_EQUAL(right, inode("lib/b.c"));
        CPPUNIT_ASSERT(wrong != inode("a.c") ||
                       contentOf(_folder.workspace() / "a.c") == "int a;\n");
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((_folder.workspace() / "lib/b.c").c_str(), &info));
        CPPUNIT_ASSERT(info.st_mtime < 1'000'000'000); // builds see that it is old
        same();
    }

    void testAnotherCommitIsAsAFreshCheckout()
    {
        kept("clean");
        git({"-C", _origin, "rm", "-rq", "lib"});
        commitFile("lib", "a file now\n");
        git({"-C", _origin, "rm", "-q", "a.c"});
        commitFile("a.c/is", "a folder now\n");
        kept("clean");
        same();
        kept("reuse");
        same();
    }

    void testNothingOfTheRepositoryIsTrusted()
    {
        kept("clean");
        const std::string program = "#!/bin/sh\\ntouch " + canary() + "\\n";
        sh("cd .git; mkdir -p hooks objects/info; for h in post-checkout post-index-change "
           "reference-transaction; do printf '" +
           program + "' >hooks/$h; chmod 755 hooks/$h; done; printf '" + program +
           "' >evil; chmod 755 evil; git config core.fsmonitor $PWD/evil; git config "
           "core.hooksPath $PWD/hooks; git config filter.x.smudge $PWD/evil; "
           "git config filter.x.clean $PWD/evil; mkdir -p info; echo '* filter=x' "
           ">info/attributes; "
           "echo '*' >info/exclude; echo /elsewhere >objects/info/alternates");
        // An index that claims that nothing has changed.
        sh("git -c core.fsmonitor=false -c core.hooksPath=/dev/null update-index "
           "--assume-unchanged "
           "lib/b.c; git -c core.fsmonitor=false -c core.hooksPath=/dev/null update-index "
           "--skip-worktree lib/deep/c.c; echo evil >lib/b.c; echo evil >lib/deep/c.c");
        fs::remove(canary());
        // The same size and time as what the index knows.
        sh("cp -p a.c ../old; printf 'int x;\\n' >a.c; touch -r ../old a.c; rm ../old");
        for (const char* mode : {"reuse", "clean"})
        {
            kept(mode);
            assertNoCanary(mode);
            same();
        }
    }

    void testWhatStandsInPlaceOfFilesAndFoldersIsReplaced()
    {
        const fs::path outside = _folder.path() / "outside";
        for (const char* mode : {"clean", "reuse"})
        {
            kept("clean");
            fs::create_directories(outside / "deep");
            std::ofstream(outside / "b.c") << "secret";
            std::ofstream(outside / "deep/c.c") << "secret";
            sh("rm -rf lib a.c z link; ln -s " + outside.string() +
               " lib; mkfifo a.c; mkdir z; ln -s / z/up; echo x >link; rm -rf .git; ln -s " +
               outside.string() + " .git");
            kept(mode);
            same();
            CPPUNIT_ASSERT_EQUAL(std::string("secret"), contentOf(outside / "b.c"));
            CPPUNIT_ASSERT_EQUAL(std::string("secret"), contentOf(outside / "deep/c.c"));
            CPPUNIT_ASSERT(!fs::exists(outside / "HEAD"));
        }
    }

    void testFoldersWithoutRightsAndDeepOnesGo()
    {
        for (const char* mode : {"clean", "reuse"})
        {
            kept("clean");
            sh("mkdir -p shut/in; echo x >shut/in/y; chmod 000 shut/in shut; chmod 000 lib; "
               "mkdir -p .git/shut/x; chmod 000 .git/shut");
            // Twice as long as a path may be.
            sh("d=$(printf 'dddddddddd/%.0s' $(seq 300)); mkdir -p deep/$d other/$d; "
               "mv other deep/$d");
            kept(mode);
            same();
        }
    }

    void testModesAndHardLinksAreMadeAnew()
    {
        kept("clean");
        sh("chmod 777 a.c; chmod 4755 run.sh; chmod 2777 lib; mkdir -p build; ln lib/b.c "
           "build/same");
        kept("reuse");
        sh("echo through the other name >build/same; rm -r build");
        same();
    }

    void testAttributesOfAStageCountForNothing()
    {
        for (const char* mode : {"clean", "reuse"})
        {
            kept("clean");
            sh("echo '* text eol=crlf' >.gitattributes; echo '* eol=crlf ident' "
               ">lib/.gitattributes; printf 'int b;\\r\\n' >lib/b.c");
            kept(mode);
            same();
        }
    }

    void testConvertedFilesAreWrittenAnew()
    {
        commitFile("dos.txt", "one\ntwo\n");
        commitFile("id.txt", "$Id$\n");
        commitFile(".gitattributes", "dos.txt text eol=crlf\nid.txt ident\n*.c text\n");
        kept("clean");
        CPPUNIT_ASSERT_EQUAL(std::string("one\r\ntwo\r\n"),
                             contentOf(_folder.workspace() / "dos.txt"));
        // What git takes for equal, as it does not look at line ends.
        sh("printf 'one\\ntwo\\n' >dos.txt; printf '$Id$\\n' >id.txt; printf 'int a;\\r\\n' >a.c");
        kept("clean");
        same();
    }

    void testReuseKeepsWhatTheCommitIgnores()
    {
        kept("reuse");
        sh("mkdir -p build/dep/.git new; echo o >lib/b.o; echo m >build/made; echo h "
           ">build/dep/.git/HEAD; echo u >new/file; git init -q nested; git init -q lib/nested; "
           "mkdir "
           "lib/deep/.git; echo x >lib/deep/.git/config; chmod 500 build/dep");
        kept("reuse");
        CPPUNIT_ASSERT_EQUAL(std::string("o\n"), contentOf(_folder.workspace() / "lib/b.o"));
        CPPUNIT_ASSERT_EQUAL(std::string("m\n"), contentOf(_folder.workspace() / "build/made"));
        CPPUNIT_ASSERT_EQUAL(std::string("h\n"),
                             contentOf(_folder.workspace() / "build/dep/.git/HEAD"));
        for (const char* gone : {"new", "nested", "lib/nested", "lib/deep/.git"})
            CPPUNIT_ASSERT_MESSAGE(gone, !fs::exists(_folder.workspace() / gone));
        sh("chmod 700 build/dep; rm -r build lib/b.o");
        same();
    }

    void testReuseBelievesTheCommitsRulesOnly()
    {
        kept("reuse");
        sh("echo '*' >lib/.gitignore; echo x >lib/left; echo '*' >>.gitignore; echo y >left; "
           "mkdir -p .git/info; echo '*' >.git/info/exclude");
        kept("reuse");
        same();
    }

    void testOfAnotherBranchNothingIsTouched()
    {
        kept("clean");
        sh("echo left >left");
        git({"-C", _origin, "checkout", "-q", "-b", "other"});
        const std::string commit = commitFile("evil", "evil");
        const fs::path own = _folder.path() / "own";
        Environment env = environment("clean");
        env["PLUGIN_REF"] = commit;
        env["STAGE_AGENT_BRANCH_TO_TELL"] = env["STAGE_AGENT_WORKSPACE_BRANCH"] = "main";
        env["STAGE_AGENT_WORKSPACE_INSTEAD"] = own;
        const PluginEnd end = passed(PluginProcess(hostCommand(library(), _folder), env).wait());
        CPPUNIT_ASSERT_MESSAGE(end.out, end.out.find("not the kept one") != std::string::npos);
        CPPUNIT_ASSERT(!end.outputs.contains("branch"));
        CPPUNIT_ASSERT_EQUAL(std::string("evil"), contentOf(own / "evil"));
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "evil"));
        CPPUNIT_ASSERT_EQUAL(std::string("left\n"), contentOf(_folder.workspace() / "left"));
    }

    void testDepthAndSubmodules()
    {
        const std::string library = (_folder.path() / "library").string();
        makeRepository(library);
        commitFile("in", "one", "a change", library);
        git({"-C", _origin, "-c", "protocol.file.allow=always", "submodule", "add", "-q", library,
             "sub"});
        commitFile("more", "x");
        const Environment more{{"PLUGIN_DEPTH", "1"}, {"PLUGIN_SUBMODULES", "true"}};
        kept("clean", more);
        sh("echo changed >sub/in; echo new >sub/new; rm sub/.git");
        kept("reuse", more);
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "sub/in"));
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "sub/new"));
        CPPUNIT_ASSERT_EQUAL(std::string("1\n"),
                             git({"-C", _folder.workspace(), "rev-list", "--count", "HEAD"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), git({"-C", _folder.workspace(), "status", "-s"}));
    }

    void testWhatAKilledOneLeftGoes()
    {
        kept("clean");
        sh("mkdir -p .stage-agent-clone/.git .stage-agent-removed/3/x; echo x "
           ">.stage-agent-removed/1; echo x >.git/index.lock; chmod 000 .stage-agent-removed/3");
        for (const char* mode : {"reuse", "clean"})
        {
            kept(mode);
            same();
        }
    }

private:
    [[nodiscard]] Environment environment(const std::string& mode) const
    {
        Environment env = settings(_origin, "main", _folder);
        env["STAGE_AGENT_WORKSPACE"] = mode;
        return env;
    }

    void kept(const std::string& mode, const Environment& more = {}) const
    {
        Environment env = environment(mode);
        for (const auto& [name, value] : more)
            env[name] = value;
        passed(PluginProcess(hostCommand(library(), _folder), env).wait());
    }

    /// A shell in the workspace, as a stage has it.
    void sh(const std::string& command) const
    {
        const std::string all = "cd '" + _folder.workspace().string() + "' && { " + command + "; }";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(command, 0, std::system(all.c_str())); // NOLINT: our own words
    }

    static std::map<std::string, std::string> filesIn(const fs::path& folder)
    {
        std::map<std::string, std::string> files;
        for (auto i = fs::recursive_directory_iterator(folder); i != fs::end(i); ++i)
        {
            const std::string name = i->path().lexically_relative(folder);
            if (name == ".git/objects" || name == ".git/logs")
                i.disable_recursion_pending();
            if (name == ".git/index" || name.starts_with(".git/logs"))
                continue; // it holds times
            struct stat info = {};
            CPPUNIT_ASSERT_EQUAL(0, ::lstat(i->path().c_str(), &info));
            files[name] = std::to_string(info.st_mode) + " " +
                          (i->is_symlink()        ? fs::read_symlink(i->path()).string()
                           : i->is_regular_file() ? contentOf(i->path())
                                                  : "");
        }
        return files;
    }

    /// The workspace is, with all of its repository, what a fresh checkout makes.
    void same() const
    {
        PluginFolder fresh;
        passed(checkOut(_origin, "main", fresh));
        const auto expected = filesIn(fresh.workspace());
        const auto found = filesIn(_folder.workspace());
        for (const auto& [name, file] : found)
            CPPUNIT_ASSERT_MESSAGE(name + " is too much", expected.contains(name));
        for (const auto& [name, file] : expected)
        {
            CPPUNIT_ASSERT_MESSAGE(name + " is missing", found.contains(name));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, file, found.at(name));
        }
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             git({"-C", _folder.workspace(), "status", "-s", "--ignored"}));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitKeptTreeTest);
