#include "plugins/git/Git.h"
#include "tests/support/GitFixture.h"
#include "tests/support/HostileGitNames.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

namespace fs = std::filesystem;

class GitPluginTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitPluginTest);
    CPPUNIT_TEST(testChecksBranchOut);
    CPPUNIT_TEST(testEmptyRefIsHeadOfTheRepository);
    CPPUNIT_TEST(testChecksTagsAndCommitsOut);
    CPPUNIT_TEST(testFetchesRefByItsFullName);
    CPPUNIT_TEST(testBranchNamedLikeShellCodeIsOnlyAName);
    CPPUNIT_TEST(testMissingRefIsNamed);
    CPPUNIT_TEST(testMissingRepositoryIsNamed);
    CPPUNIT_TEST(testEmptyRepositoryIsNamed);
    CPPUNIT_TEST(testPasswordIsNotShownInErrors);
    CPPUNIT_TEST(testHostileValuesExecuteNothing);
    CPPUNIT_TEST(testServiceEnvironmentDoesNotReachGit);
    CPPUNIT_TEST(testSecondAttemptFindsNothingOfTheFirst);
    CPPUNIT_TEST(testWorkspaceThatIsALinkIsNotEmptied);
    CPPUNIT_TEST(testSubmodulesOnlyWhenAsked);
    CPPUNIT_TEST(testDepthLeavesHistoryOut);
    CPPUNIT_TEST_SUITE_END();

public:
    void testDepthLeavesHistoryOut()
    {
        for (const char* content : {"one", "two", "three"})
            commitFile("file", content);
        git({"-C", _origin, "branch", "other"});
        const std::string commit = commitFile("file", "four");
        const auto workspace = [&](const std::vector<std::string>& argv)
        {
            std::vector<std::string> all{"-C", _folder.workspace()};
            all.insert(all.end(), argv.begin(), argv.end());
            return git(all);
        };
        for (const auto& [depth, commits] : {std::pair{"2", "2\n"}, {"0", "4\n"}, {"1", "1\n"}})
        {
            passed(runHost(library(), _folder,
                           {{"REPOSITORY", _origin}, {"REF", "main"}, {"DEPTH", depth}}));
            CPPUNIT_ASSERT_EQUAL(std::string("four"), contentOf(_folder.workspace() / "file"));
            CPPUNIT_ASSERT_EQUAL(std::string(commits), workspace({"rev-list", "--count", "HEAD"}));
            CPPUNIT_ASSERT_EQUAL(commit + "\n", workspace({"rev-parse", "HEAD"}));
            CPPUNIT_ASSERT_EQUAL(_origin + "\n",
                                 workspace({"config", "--get", "remote.origin.url"}));
        }
        for (const char* wrong : {"-1", "x", "1.5", "1000001"})
            assertFailure(runHost(library(), _folder,
                                  {{"REPOSITORY", _origin}, {"REF", "main"}, {"DEPTH", wrong}}),
                          "depth must be a whole number");
    }

    void testChecksBranchOut()
    {
        const std::string commit = commitFile("file", "one", "Subject\n\nAnd a \"body\" größe");
        const PluginEnd end = passed(checkOut(_origin, "main"));
        CPPUNIT_ASSERT_EQUAL(commit, end.outputs.at("commitHash"));
        CPPUNIT_ASSERT_EQUAL(std::string("Subject\n\nAnd a \"body\" größe"),
                             end.outputs.at("commitMessage"));
        CPPUNIT_ASSERT_EQUAL(std::string("Ada <ada@example.org>"), end.outputs.at("committer"));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), end.outputs.at("branch"));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "file"));
        CPPUNIT_ASSERT_EQUAL(_origin + "\n", git({"-C", _folder.workspace(), "config", "--get",
                                                  "remote.origin.url"}));
        CPPUNIT_ASSERT_EQUAL("git: fetching " + _origin + " into a new mirror\n" +
                                 "git: checked out " + commit.substr(0, 12) + " \"Subject\"\n",
                             end.out);
    }

    void testEmptyRefIsHeadOfTheRepository()
    {
        const std::string commit = commitFile("file", "one");
        git({"-C", _origin, "branch", "other"});
        git({"-C", _origin, "symbolic-ref", "HEAD", "refs/heads/other"});
        const PluginEnd end = passed(checkOut(_origin, ""));
        CPPUNIT_ASSERT_EQUAL(std::string("other"), end.outputs.at("branch"));

        git({"-C", _origin, "checkout", "-q", "--detach"});
        CPPUNIT_ASSERT_EQUAL(commit, passed(checkOut(_origin, "")).outputs.at("commitHash"));
    }

    void testChecksTagsAndCommitsOut()
    {
        const std::string first = commitFile("file", "one");
        git({"-C", _origin, "tag", "-a", "-m", "annotated", "v1"});
        const std::string second = commitFile("file", "two");
        git({"-C", _origin, "tag", "light"});
        commitFile("file", "three");

        const std::vector<std::pair<std::string, std::string>> cases{
            {"v1", first},    {"light", second},       {first, first},
            {second, second}, {"refs/tags/v1", first}, {second.substr(0, 10), second}};
        for (const auto& [ref, commit] : cases)
        {
            const PluginEnd end = passed(checkOut(_origin, ref));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ref, commit, end.outputs.at("commitHash"));
            CPPUNIT_ASSERT_MESSAGE(ref, !end.outputs.contains("branch"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ref, commit + "\n",
                                         git({"-C", _folder.workspace(), "rev-parse", "HEAD"}));
        }
    }

    void testFetchesRefByItsFullName()
    {
        commitFile("file", "one");
        git({"-C", _origin, "checkout", "-q", "--detach"});
        const std::string commit = commitFile("file", "of a pull request");
        git({"-C", _origin, "update-ref", "refs/pull/7/head", commit});
        git({"-C", _origin, "checkout", "-q", "main"});

        CPPUNIT_ASSERT_EQUAL(
            commit, passed(checkOut(_origin, "refs/pull/7/head")).outputs.at("commitHash"));
        PluginFolder other; // where no mirror has it yet
        CPPUNIT_ASSERT_EQUAL(commit,
                             passed(checkOut(_origin, commit, other)).outputs.at("commitHash"));
    }

    void testBranchNamedLikeShellCodeIsOnlyAName()
    {
        const std::string commit = commitFile("file", "one");
        const std::string name = "zzz\";echo${IFS}$(touch${IFS}" + canary() + ");`id`#";
        git({"-C", _origin, "branch", name});
        const PluginEnd end = passed(checkOut(_origin, name));
        CPPUNIT_ASSERT_EQUAL(commit, end.outputs.at("commitHash"));
        CPPUNIT_ASSERT_EQUAL(name, end.outputs.at("branch"));
        assertNoCanary(name);
    }

    void testMissingRefIsNamed()
    {
        commitFile("file", "one");
        for (const std::string ref :
             {"nowhere", "deadbeef", "0123456789012345678901234567890123456789", "refs/pull/1/head",
              "refs/heads/nowhere"})
            assertFailure(checkOut(_origin, ref),
                          "git: " + _origin + " has no branch, tag or commit '" + ref + "'");
    }

    void testMissingRepositoryIsNamed()
    {
        const std::string nowhere = _folder.path() / "nowhere";
        assertFailure(checkOut(nowhere, "main"), "git: can't fetch " + nowhere + ": ");
        assertFailure(checkOut(nowhere, ""), "git: can't reach " + nowhere + ": ");
        const std::string closed = "http://127.0.0.1:1/a.git";
        assertFailure(checkOut(closed, "main"), "git: can't fetch " + closed + ": ");
        assertFailure(checkOut("", "main"), "git: repository '' is empty");
    }

    void testEmptyRepositoryIsNamed()
    {
        assertFailure(checkOut(_origin, ""), "has no HEAD: it is empty");
        assertFailure(checkOut(_origin, "main"), "no branch, tag or commit 'main'");
    }

    void testPasswordIsNotShownInErrors()
    {
        const PluginEnd end = checkOut("https://user:s3cret@127.0.0.1:1/a", "main");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
        CPPUNIT_ASSERT_MESSAGE(end.describe(), end.describe().find("s3cret") == std::string::npos);
    }

    /// Symptom: `git fetch origin "--upload-pack=COMMAND"` runs COMMAND (git 2.39). Cause: git takes a
    /// value for an option. Bound: no value of the corpus, as repository or as ref, makes the canary.
    void testHostileValuesExecuteNothing()
    {
        commitFile("file", "one");
        for (const std::string& repository : hostileRepositories(canary()))
        {
            assertFailure(checkOut(repository, "main"), "git: repository '");
            assertNoCanary(repository);
        }
        for (const std::string& ref : hostileRefs(canary()))
        {
            assertFailure(checkOut(_origin, ref), "git: ref '");
            assertNoCanary(ref);
        }
    }

    void testServiceEnvironmentDoesNotReachGit()
    {
        commitFile("file", "one");
        const std::string touch = "touch " + canary();
        std::ofstream(_folder.path() / "config") << "[core]\n\tfsmonitor = " << touch << "\n";
        auto env = settings(_origin, "main", _folder);
        for (const char* name : {"GIT_SSH_COMMAND", "GIT_SSH", "GIT_PROXY_COMMAND", "GIT_ASKPASS",
                                 "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_EDITOR", "GIT_EXEC_PATH",
                                 "GIT_TEMPLATE_DIR", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
                                 "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "BASH_ENV", "ENV"})
            env[name] = touch;
        env["GIT_CONFIG_GLOBAL"] = _folder.path() / "config";
        env["GIT_CONFIG_COUNT"] = "1";
        env["GIT_CONFIG_KEY_0"] = "core.fsmonitor";
        env["GIT_CONFIG_VALUE_0"] = touch;
        env["GIT_CONFIG_PARAMETERS"] = "'core.fsmonitor'='" + touch + "'";
        env["GIT_ALLOW_PROTOCOL"] = "ext";
        env["GIT_TRACE"] = canary();
        passed(PluginProcess(hostCommand(library(), _folder), env).wait());
        assertNoCanary("environment");
    }

    void testSecondAttemptFindsNothingOfTheFirst()
    {
        commitFile("file", "one");
        commitFile("folder/other", "two");
        passed(checkOut(_origin, "main"));
        poison(_folder.workspace());

        passed(checkOut(_origin, "main"));
        assertNoCanary("poisoned workspace");
        CPPUNIT_ASSERT_EQUAL(
            std::string(), git({"-C", _folder.workspace(), "status", "--porcelain", "--ignored"}));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "file"));
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / ".git/hooks"));
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), contentOf(_folder.path() / "outside/precious"));
    }

    void testWorkspaceThatIsALinkIsNotEmptied()
    {
        commitFile("file", "one");
        fs::create_directory(_folder.path() / "outside");
        std::ofstream(_folder.path() / "outside/precious") << "mine";
        fs::remove(_folder.workspace());
        fs::create_directory_symlink(_folder.path() / "outside", _folder.workspace());
        assertFailure(checkOut(_origin, "main"), "is not a folder");
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), contentOf(_folder.path() / "outside/precious"));
    }

    void testSubmodulesOnlyWhenAsked()
    {
        const fs::path module = _folder.path() / "module";
        makeRepository(module);
        commitFile("inner", "in the submodule", "inner", module);
        git({"-C", _origin, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
             module, "sub"});
        commitFile("file", "one");

        passed(checkOut(_origin, "main"));
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "sub/inner"));
        auto env = settings(_origin, "main", _folder);
        env["PLUGIN_SUBMODULES"] = "true";
        passed(PluginProcess(hostCommand(library(), _folder), env).wait());
        CPPUNIT_ASSERT(fs::exists(_folder.workspace() / "sub/inner"));

        // What a repository from elsewhere may name as a submodule is no file of this host.
        CPPUNIT_ASSERT_EQUAL(
            std::string("git:http:https:ssh"),
            agent::git::environment("https://example.org/a", true).at("GIT_ALLOW_PROTOCOL"));
    }

private:
    /// What a stage may leave for the next attempt.
    void poison(const fs::path& workspace) const
    {
        const std::string touch = "touch " + canary();
        for (const char* hook :
             {"post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"})
        {
            const fs::path file = workspace / ".git/hooks" / hook;
            fs::create_directories(file.parent_path());
            std::ofstream(file) << "#!/bin/sh\n" << touch << "\n";
            fs::permissions(file, fs::perms::all);
        }
        std::ofstream(workspace / ".git/config", std::ios::app)
            << "[core]\n\tfsmonitor = " << touch << "\n\tsshCommand = " << touch
            << "\n\tpager = " << touch << "\n[filter \"evil\"]\n\tsmudge = " << touch
            << "\n[url \"ext::sh -c touch% " << canary() << "\"]\n\tinsteadOf = /\n"
            << "[protocol]\n\tallow = always\n[alias]\n\tcheckout = !" << touch << "\n";
        fs::create_directories(workspace / ".git/info");
        std::ofstream(workspace / ".git/info/attributes") << "* filter=evil\n";
        std::ofstream(workspace / ".git/index.lock") << "";
        std::ofstream(workspace / ".gitignore") << "ignored\n";
        std::ofstream(workspace / "ignored") << "x";
        std::ofstream(workspace / "file") << "changed";

        const fs::path outside = _folder.path() / "outside";
        fs::create_directory(outside);
        std::ofstream(outside / "precious") << "mine";
        fs::remove_all(workspace / "folder");
        fs::create_directory_symlink(outside, workspace / "folder");
        git({"init", "-q", workspace / "nested"});
        fs::create_directory(workspace / "sealed");
        std::ofstream(workspace / "sealed/file") << "x";
        fs::permissions(workspace / "sealed", fs::perms::none);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitPluginTest);
