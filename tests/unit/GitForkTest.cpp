#include "tests/support/GitFixture.h"

#include <cppunit/extensions/HelperMacros.h>

namespace fs = std::filesystem;

/// What the git plugin does for runs of forks, and for secrets that a branch has: docs/secrets.md.
class GitForkTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitForkTest);
    CPPUNIT_TEST(testAForkHasTheSubmodulesOfItsBase);
    CPPUNIT_TEST(testAForkMayNotAddASubmodule);
    CPPUNIT_TEST(testWhatIsNestedInABasesSubmoduleIsTheBases);
    CPPUNIT_TEST(testAForkMayNotReachFurtherThroughASubmodule);
    CPPUNIT_TEST(testATagIsNoBase);
    CPPUNIT_TEST(testACommitOfTheBranchIsProved);
    CPPUNIT_TEST(testACommitThatWasTakenOffTheBranchIsNone);
    CPPUNIT_TEST(testACommitOfAnotherBranchIsNone);
    CPPUNIT_TEST(testATagProvesOnlyItsOwnCommit);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAForkHasTheSubmodulesOfItsBase()
    {
        commitFile("file", "one");
        const fs::path module = repository("module");
        link(_origin, module, "sub");
        passed(checkOutFork(fork("fork-file")));
        CPPUNIT_ASSERT_EQUAL(std::string("module"), contentOf(_folder.workspace() / "sub/name"));
        // Another commit of it is not refused.
        commitFile("name", "newer", "second", module);
        branchOff();
        git({"-C", fs::path(_origin) / "sub", "fetch", "-q"});
        git({"-C", fs::path(_origin) / "sub", "checkout", "-q", "FETCH_HEAD"});
        passed(checkOutFork(fork("file2")));
        CPPUNIT_ASSERT_EQUAL(std::string("newer"), contentOf(_folder.workspace() / "sub/name"));
    }

    void testAForkMayNotAddASubmodule()
    {
        commitFile("file", "one");
        const fs::path secret = repository("secret");
        const fs::path module = repository("module");
        link(_origin, module, "sub");
        branchOff();
        link(_origin, secret, "stolen");
        const std::string commit = fork("file2");
        assertFailure(checkOutFork(commit), "is none of the base branch: a fork may not add one");
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "stolen/name"));
        // Nor change the URL of one.
        git({"-C", _origin, "config", "-f", ".gitmodules", "submodule.sub.url", secret});
        git({"-C", _origin, "config", "-f", ".gitmodules", "--remove-section", "submodule.stolen"});
        assertFailure(checkOutFork(fork("file3")), "is none of the base branch");
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "sub/name"));
        // The repository's own branches may.
        auto env = settings(_origin, commit, _folder);
        env["PLUGIN_SUBMODULES"] = "true";
        passed(PluginProcess(hostCommand(library(), _folder), env).wait());
    }

    void testWhatIsNestedInABasesSubmoduleIsTheBases()
    {
        commitFile("file", "one");
        const fs::path inner = repository("inner");
        const fs::path outer = repository("outer");
        link(outer, inner, "deep");
        link(_origin, outer, "sub");
        passed(checkOutFork(fork("fork-file")));
        CPPUNIT_ASSERT_EQUAL(std::string("inner"),
                             contentOf(_folder.workspace() / "sub/deep/name"));
    }

    /// By a commit of the base's submodule that a stranger proposed there.
    void testAForkMayNotReachFurtherThroughASubmodule()
    {
        commitFile("file", "one");
        const fs::path secret = repository("secret");
        const fs::path outer = repository("outer");
        link(_origin, outer, "sub");
        git({"-C", outer, "checkout", "-q", "-b", "proposed"});
        link(outer, secret, "stolen");
        const std::string proposed = git({"-C", outer, "rev-parse", "HEAD"}).substr(0, 40);
        git({"-C", outer, "checkout", "-q", "main"});
        branchOff();
        git({"-C", fs::path(_origin) / "sub", "fetch", "-q", "origin", "proposed"});
        git({"-C", fs::path(_origin) / "sub", "checkout", "-q", proposed});
        assertFailure(checkOutFork(fork("file2")), "is none of the base branch");
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "sub/stolen/name"));
    }

    void testATagIsNoBase()
    {
        commitFile("file", "one");
        const fs::path secret = repository("secret");
        link(_origin, repository("module"), "sub");
        branchOff();
        link(_origin, secret, "stolen");
        const std::string commit = fork("file2");
        git({"-C", _origin, "tag", "main", commit});
        assertFailure(checkOutFork(commit), "is none of the base branch");
        auto env = forkSettings(commit);
        env["STAGE_AGENT_FORK_OF"] = "gone";
        assertFailure(PluginProcess(hostCommand(library(), _folder), env).wait(), "gone");
    }

    void testACommitOfTheBranchIsProved()
    {
        const std::string first = commitFile("file", "one");
        passed(checkOutOn(first, "main"));
        const std::string second = commitFile("file", "two");
        passed(checkOutOn(second, "main")); // pushed since
        passed(checkOutOn(first, "main"));
        passed(checkOutOn("main", "main"));
    }

    /// Symptom: the mirror's branch was believed, however old. Cause: it was fetched only where it did not show the commit.
    void testACommitThatWasTakenOffTheBranchIsNone()
    {
        const std::string first = commitFile("file", "one");
        const std::string second = commitFile("file", "two");
        passed(checkOutOn(second, "main"));
        git({"-C", _origin, "reset", "-q", "--hard", first});
        assertFailure(checkOutOn(second, "main"), "is not on the branch 'main'");
        passed(checkOutOn(first, "main"));
    }

    void testACommitOfAnotherBranchIsNone()
    {
        const std::string first = commitFile("file", "one");
        branchOff();
        const std::string other = commitFile("file", "of the feature");
        passed(checkOutOn(other, "feature"));
        passed(checkOutOn(first, "feature"));
        for (const char* branch : {"main", "release/1"})
        {
            const PluginEnd end = checkOutOn(other, branch);
            assertFailure(end, "is not on the branch '" + std::string(branch));
            CPPUNIT_ASSERT(end.outputs.empty());
        }
    }

    /// And none where there is a branch of this name.
    void testATagProvesOnlyItsOwnCommit()
    {
        const std::string first = commitFile("file", "one");
        branchOff();
        const std::string other = commitFile("file", "of the feature");
        git({"-C", _origin, "tag", "v1", first});
        git({"-C", _origin, "tag", "main", other});
        passed(checkOutOn(first, "v1"));
        assertFailure(checkOutOn(other, "v1"), "is not on the branch 'v1'");
        assertFailure(checkOutOn(other, "main"), "is not on the branch 'main'");
    }

private:
    /// A repository with a file that holds its name.
    [[nodiscard]] fs::path repository(const std::string& name) const
    {
        const fs::path made = _folder.path() / name;
        makeRepository(made);
        commitFile("name", name, "first", made);
        return made;
    }

    void link(const fs::path& repository, const fs::path& module, const std::string& path) const
    {
        git({"-C", repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
             module, path});
        git({"-C", repository, "commit", "-q", "-m", "link " + path});
    }

    void branchOff() const { git({"-C", _origin, "checkout", "-q", "-B", "feature", "main"}); }

    /// Commits what is there, and this file, to a branch of another name than main. Returns the commit.
    [[nodiscard]] std::string fork(const std::string& file) const
    {
        if (git({"-C", _origin, "branch", "--show-current"}) == "main\n")
            branchOff();
        return commitFile(file, "of a fork");
    }

    [[nodiscard]] Environment forkSettings(const std::string& commit) const
    {
        auto env = settings(_origin, commit, _folder);
        env["PLUGIN_SUBMODULES"] = "true";
        env["STAGE_AGENT_FORK_OF"] = "main";
        return env;
    }

    PluginEnd checkOutFork(const std::string& commit) const
    {
        return PluginProcess(hostCommand(library(), _folder), forkSettings(commit)).wait();
    }

    PluginEnd checkOutOn(const std::string& commit, const std::string& branch) const
    {
        auto env = settings(_origin, commit, _folder);
        env["STAGE_AGENT_BRANCH_OF_COMMIT"] = branch;
        return PluginProcess(hostCommand(library(), _folder), env).wait();
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitForkTest);
