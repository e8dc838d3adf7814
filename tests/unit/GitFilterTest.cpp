// Mirrors without the contents of files that no checkout needs, and what is checked out from them.
#include "tests/support/GitFixture.h"
#include "tests/support/GitHttpServer.h"
#include "tests/support/GitSmartServer.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>

namespace fs = std::filesystem;

class GitFilterTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitFilterTest);
    CPPUNIT_TEST(testFilesOfTheCommitComeInOneRequest);
    CPPUNIT_TEST(testWorkspaceIsAPartialClone);
    CPPUNIT_TEST(testCommitOnNoBranch);
    CPPUNIT_TEST(testLimitAndMirrorsOfTheirOwn);
    CPPUNIT_TEST(testOtherFiltersAreRefused);
    CPPUNIT_TEST(testServerWithoutFiltersIsSaid);
    CPPUNIT_TEST(testWhatWasLostIsNotTakenForLeftOut);
    CPPUNIT_TEST(testFileThatTheServerHasNoMore);
    CPPUNIT_TEST(testConfigurationOfAMirrorCountsForNothing);
    CPPUNIT_TEST(testDepthSubmodulesAndKeptWorkspaces);
    CPPUNIT_TEST(testShallowRepository);
    CPPUNIT_TEST(testPipelineOfAnotherBranch);
    CPPUNIT_TEST(testGarbageCollection);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Three commits: of 40 files each has another content in each, but one.
    void setUp() override
    {
        git({"-C", _origin, "config", "uploadpack.allowFilter", "true"});
        commitFile("folder/deep/same", "same");
        fs::create_symlink("file1", fs::path(_origin) / "link");
        for (const char* round : {"one", "two", "three"})
            commitRound(round);
    }

    void testFilesOfTheCommitComeInOneRequest()
    {
        for (const char* trusted : {"", "1"})
        {
            fs::remove_all(_folder.cache());
            GitSmartServer server(_folder.path() / "served");
            serve();
            const Environment more{{"STAGE_AGENT_TRUSTED_MIRRORS", trusted}};
            const auto checkOut = [&](const std::string& ref)
            { return passed(filtered(server.url("r.git"), ref, "blob:none", more)); };
            checkOut("main");
            sameAsWhole("main");
            CPPUNIT_ASSERT_EQUAL(std::size_t(0), missing("main^{tree}"));
            CPPUNIT_ASSERT_EQUAL(std::size_t(80), missing("--all"));
            auto fetches = server.takeFetches();
            CPPUNIT_ASSERT_EQUAL(std::size_t(2), fetches.size());
            CPPUNIT_ASSERT(fetches[0].find("filter blob:none") != std::string::npos);
            // The 40, the one that is the same, and the link.
            CPPUNIT_ASSERT_EQUAL(std::size_t(42), count(fetches[1], "want "));

            // What is there is not asked for again.
            const std::string known = git({"-C", _origin, "rev-parse", "HEAD"}).substr(0, 40);
            checkOut(known);
            CPPUNIT_ASSERT_EQUAL(std::size_t(0), server.takeFetches().size());
            commitFile("file7", "new");
            serve();
            checkOut("main");
            sameAsWhole("main");
            fetches = server.takeFetches();
            CPPUNIT_ASSERT_EQUAL(std::size_t(1), count(fetches.back(), "want "));
            CPPUNIT_ASSERT_EQUAL(std::size_t(80), missing("--all"));
            checkOut(git({"-C", _origin, "rev-parse", "HEAD~2"}).substr(0, 40));
            fetches = server.takeFetches();
            CPPUNIT_ASSERT_EQUAL(std::size_t(1), fetches.size());
            CPPUNIT_ASSERT_EQUAL(std::size_t(40), count(fetches[0], "want "));
            git({"-C", _origin, "reset", "-q", "--hard", known});
        }
    }

    /// What history needs git gets from the repository, by what the stage may; and says where it can't.
    void testWorkspaceIsAPartialClone()
    {
        for (const char* trusted : {"", "1"})
        {
            fs::remove_all(_folder.cache());
            passed(filtered("file://" + _origin, "main", "blob:none",
                            {{"STAGE_AGENT_TRUSTED_MIRRORS", trusted}}));
            const fs::path workspace = _folder.workspace();
            CPPUNIT_ASSERT_EQUAL("file://" + _origin + "\n",
                                 git({"-C", workspace, "config", "remote.origin.url"}));
            CPPUNIT_ASSERT_EQUAL(std::string("4\n"),
                                 git({"-C", workspace, "rev-list", "--count", "origin/main"}));
            CPPUNIT_ASSERT_EQUAL(std::string(), git({"-C", workspace, "status", "--porcelain"}));
            git({"-C", workspace, "fsck"});
            fs::remove_all(_folder.cache());
            fs::rename(_origin, _origin + ".away");
            git({"-C", workspace, "log", "-p", "-1", "--", "folder"}); // nothing is missing of it
            const PluginEnd failed = tryGit({"-C", workspace, "show", "HEAD~1:file3"});
            fs::rename(_origin + ".away", _origin);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(failed.describe(), 128, failed.exitCode);
            CPPUNIT_ASSERT_MESSAGE(failed.errors,
                                   failed.errors.find("could not fetch") != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::string("two 3"),
                                 git({"-C", workspace, "show", "HEAD~1:file3"}));
            git({"-C", workspace, "log", "-p"});
        }
    }

    void testCommitOnNoBranch()
    {
        git({"-C", _origin, "checkout", "-q", "--detach"});
        commitFile("file4", "between");
        const std::string commit = commitFile("file5", "pulled");
        git({"-C", _origin, "update-ref", "refs/pull/1/head", commit});
        git({"-C", _origin, "checkout", "-q", "main"});
        for (const char* trusted : {"", "1"})
            for (const std::string& ref : {std::string("refs/pull/1/head"), commit})
                for (const char* depth : {"0", "1", "2"})
                {
                    fs::remove_all(_folder.cache());
                    passed(filtered(
                        _origin, ref, "blob:none",
                        {{"STAGE_AGENT_TRUSTED_MIRRORS", trusted}, {"PLUGIN_DEPTH", depth}}));
                    sameAsWhole(ref);
                }
    }

    void testLimitAndMirrorsOfTheirOwn()
    {
        for (const char* text : {"a", "b"})
            commitFile("large", std::string(1024, *text));
        passed(filtered(_origin, "main", "blob:limit=1k"));
        sameAsWhole("main");
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), missing("--all")); // the first of the large ones
        passed(filtered(_origin, "main", "blob:limit=1024"));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), mirrors());
        passed(filtered(_origin, "main", "blob:none"));
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), mirrors());
        passed(filtered(_origin, "main", ""));
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), mirrors());
        git({"-C", _folder.workspace(), "fsck", "--strict"});
        git({"-C", _folder.workspace(), "log", "-p"});
        // One that was a large file before: the server sends it as a difference to what is not here.
        commitFile("large", std::string(1000, 'b') + "c");
        passed(filtered(_origin, "main", "blob:limit=1024"));
        CPPUNIT_ASSERT_EQUAL(std::string(1000, 'b') + "c",
                             contentOf(_folder.workspace() / "large"));
        std::size_t told = 0;
        for (const fs::directory_entry& entry : fs::directory_iterator(_folder.cache() / "mirrors"))
            if (entry.path().extension() == ".lock")
                told += contentOf(entry.path()) == _origin + " (filter blob:limit=1024)\n" ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), told);
    }

    void testOtherFiltersAreRefused()
    {
        for (const char* wrong :
             {"tree:0", "blob", "blob:limit=", "blob:limit=-1", "blob:limit=1x", "blob:limit=k",
              "blob:limit=1 ", "blob:limit=9999999999g", "blob:limit=99999999999999999999",
              "sparse:oid=main", "combine:blob:none+tree:0", "--upload-pack=x", "BLOB:NONE"})
            assertFailure(
                filtered(_origin, "main", wrong),
                "git: filter must be blob:none or blob:limit=SIZE (bytes, or with k, m or "
                "g), and is " +
                    std::string(wrong));
        CPPUNIT_ASSERT(!fs::exists(_folder.cache() / "mirrors"));
    }

    void testServerWithoutFiltersIsSaid()
    {
        git({"-C", _origin, "config", "uploadpack.allowFilter", "false"});
        serve();
        git({"-C", served(), "update-server-info"});
        GitHttpServer files(_folder.path() / "served");
        for (const std::string& url : {"file://" + _origin, files.url("", "r.git")})
        {
            fs::remove_all(_folder.cache());
            const PluginEnd end = passed(filtered(url, "main", "blob:none"));
            CPPUNIT_ASSERT_MESSAGE(end.out,
                                   end.out.find("git: warning: the server of " + url +
                                                " has no filters (uploadpack.allowFilter) and "
                                                "sends all files\n") != std::string::npos);
            sameAsWhole("main");
            CPPUNIT_ASSERT_EQUAL(std::size_t(0), missing("--all"));
        }
    }

    void testWhatWasLostIsNotTakenForLeftOut()
    {
        for (const char* lost : {"main:folder", "main^{tree}", "main~2", "main~2^{tree}", "main"})
        {
            passed(filtered(_origin, "main", "blob:none"));
            unpack();
            const std::string id = git({"-C", _origin, "rev-parse", lost}).substr(0, 40);
            CPPUNIT_ASSERT(fs::remove(mirror() / "objects" / id.substr(0, 2) / id.substr(2)));
            const PluginEnd end = passed(filtered(_origin, "main", "blob:none"));
            // The commit of a branch the fetch brings by itself.
            CPPUNIT_ASSERT_MESSAGE(lost + end.describe(),
                                   lost == std::string("main") ||
                                       end.out.find("the mirror can't be used, making it anew") !=
                                           std::string::npos);
            sameAsWhole("main");
            fs::remove_all(_folder.cache());
        }
        // A file is fetched again, whoever took it.
        passed(filtered(_origin, "main", "blob:none"));
        unpack();
        const std::string id = git({"-C", _origin, "rev-parse", "main:file9"}).substr(0, 40);
        CPPUNIT_ASSERT(fs::remove(mirror() / "objects" / id.substr(0, 2) / id.substr(2)));
        const PluginEnd end = passed(filtered(_origin, "main", "blob:none"));
        CPPUNIT_ASSERT_MESSAGE(end.out, end.out.find("fetching 1 contents of files of ") !=
                                            std::string::npos);
        sameAsWhole("main");
    }

    void testFileThatTheServerHasNoMore()
    {
        serve();
        const std::string id = git({"-C", _origin, "rev-parse", "main~1:file9"}).substr(0, 40);
        const std::string old = git({"-C", _origin, "rev-parse", "main~1"}).substr(0, 40);
        passed(filtered(served(), "main", "blob:none"));
        unpack(served());
        CPPUNIT_ASSERT(fs::remove(served() / "objects" / id.substr(0, 2) / id.substr(2)));
        assertFailure(filtered(served(), old, "blob:none"),
                      "40 contents of files of " + old.substr(0, 12));
        passed(filtered(served(), "main", "blob:none"));
    }

    /// Nothing else may say where missing files come from, or that they may be fetched at all.
    void testConfigurationOfAMirrorCountsForNothing()
    {
        passed(filtered(_origin, "main", "blob:none"));
        std::ofstream(mirror() / "config", std::ios::app)
            << "[remote \"stage-agent\"]\n\turl = /nowhere\n\tpromisor = true\n\tuploadpack = "
               "touch "
            << canary() << "; git-upload-pack\n[extensions]\n\tpartialClone = stage-agent\n"
            << "[remote \"other\"]\n\turl = /nowhere\n\tpromisor = true\n";
        commitRound("four");
        passed(filtered(_origin, "main", "blob:none"));
        assertNoCanary("config");
        sameAsWhole("main");
        CPPUNIT_ASSERT(contentOf(mirror() / "config").find("promisor") == std::string::npos);
    }

    void testDepthSubmodulesAndKeptWorkspaces()
    {
        const fs::path module = _folder.path() / "module";
        makeRepository(module);
        commitFile("inner", "inside", "inner", module);
        git({"-C", _origin, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
             module, "sub"});
        std::ofstream(fs::path(_origin) / ".gitattributes") << "*.crlf eol=crlf\n";
        commitFile("a.crlf", "a\nb\n");
        for (const char* trusted : {"", "1"})
            for (const char* mode : {"", "clean", "reuse", "clean"})
                for (const char* depth : {"0", "2"})
                {
                    Environment more{{"STAGE_AGENT_TRUSTED_MIRRORS", trusted},
                                     {"PLUGIN_DEPTH", depth},
                                     {"PLUGIN_SUBMODULES", "true"}};
                    if (*mode != '\0')
                    {
                        more["STAGE_AGENT_WORKSPACE"] = mode;
                        std::ofstream(_folder.workspace() / "file3") << "changed";
                    }
                    passed(filtered(_origin, "main", "blob:none", more));
                    CPPUNIT_ASSERT_EQUAL(std::string("inside"),
                                         contentOf(_folder.workspace() / "sub/inner"));
                    CPPUNIT_ASSERT_EQUAL(std::string("a\r\nb\r\n"),
                                         contentOf(_folder.workspace() / "a.crlf"));
                    CPPUNIT_ASSERT_EQUAL(std::string("three 3"),
                                         contentOf(_folder.workspace() / "file3"));
                    CPPUNIT_ASSERT_EQUAL(std::string(),
                                         git({"-C", _folder.workspace(), "status", "-s"}));
                }
    }

    void testShallowRepository()
    {
        const std::string shallow = _folder.path() / "shallow";
        git({"clone", "-q", "--depth", "2", "file://" + _origin, shallow});
        git({"-C", shallow, "config", "uploadpack.allowFilter", "true"});
        for (const char* trusted : {"", "1"})
        {
            fs::remove_all(_folder.cache());
            passed(
                filtered(shallow, "main", "blob:none", {{"STAGE_AGENT_TRUSTED_MIRRORS", trusted}}));
            sameAsWhole("main");
            CPPUNIT_ASSERT_EQUAL(std::string("2\n"),
                                 git({"-C", _folder.workspace(), "rev-list", "--count", "HEAD"}));
        }
    }

    void testPipelineOfAnotherBranch()
    {
        git({"-C", _origin, "checkout", "-q", "-b", "other"});
        commitFile("ci/*.yaml", "stages: []\n");
        commitFile("ci/x.yaml", "another\n");
        git({"-C", _origin, "checkout", "-q", "main"});
        const fs::path copy = _folder.path() / "copy";
        passed(filtered(_origin, "main", "blob:none",
                        {{"STAGE_AGENT_PIPELINE", "ci/*.yaml"},
                         {"STAGE_AGENT_PIPELINE_REF", "refs/heads/other"},
                         {"STAGE_AGENT_PIPELINE_COPY", copy}}));
        const std::string told = contentOf(copy);
        CPPUNIT_ASSERT_EQUAL(std::string("stages: []\n"), told.substr(told.find('\n') + 1));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), missing("other^{tree}")); // ci/x.yaml
    }

    /// git tidies a mirror up by itself: that must take nothing for lost, and nothing for needed no more.
    void testGarbageCollection()
    {
        const fs::path config = _folder.path() / "gitconfig";
        std::ofstream(config) << "[gc]\n\tautoPackLimit = 1\n\tpruneExpire = now\n";
        const Environment more{{"STAGE_AGENT_GIT_CONFIG", config}};
        for (const char* round : {"four", "five", "six"})
        {
            passed(filtered(_origin, "main", "blob:none", more));
            sameAsWhole("main");
            commitRound(round);
        }
        const PluginEnd end = passed(filtered(_origin, "main", "blob:none", more));
        CPPUNIT_ASSERT_MESSAGE(end.out, end.out.find("can't be used") == std::string::npos);
        sameAsWhole("main");
        std::size_t packs = 0;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(mirror() / "objects" / "pack"))
            packs += entry.path().extension() == ".pack" ? 1 : 0;
        CPPUNIT_ASSERT_MESSAGE(std::to_string(packs), packs < 4);
        CPPUNIT_ASSERT_EQUAL(std::size_t(80), missing("--all"));
    }

private:
    [[nodiscard]] fs::path served() const { return _folder.path() / "served/r.git"; }

    void commitRound(const std::string& round) const
    {
        for (int i = 0; i < 40; ++i)
            std::ofstream(fs::path(_origin) / ("file" + std::to_string(i)))
                << round << " " << std::to_string(i);
        git({"-C", _origin, "add", "-A"});
        git({"-C", _origin, "commit", "-q", "-m", round});
    }

    /// Puts what `_origin` has now where a server finds it.
    void serve() const
    {
        fs::remove_all(served());
        fs::create_directories(served().parent_path());
        git({"clone", "-q", "--bare", _origin, served()});
        git({"-C", served(), "config", "uploadpack.allowFilter", "true"});
    }

    PluginEnd filtered(const std::string& repository, const std::string& ref,
                       const std::string& filter, const Environment& more = {}) const
    {
        Environment env = settings(repository, ref, _folder);
        env["PLUGIN_FILTER"] = filter;
        for (const auto& [name, value] : more)
            env[name] = value;
        return PluginProcess(hostCommand(library(), _folder), env).wait();
    }

    PluginEnd tryGit(std::vector<std::string> argv) const
    {
        argv.insert(argv.begin(), "/usr/bin/git");
        Environment env = _folder.environment({});
        env["WORKSPACE"] = _folder.path() / "git";
        env["STAGE_OUTPUTS"] = _folder.path() / "git.outputs";
        return PluginProcess(std::move(argv), env).wait();
    }

    static std::size_t count(const std::string& text, const std::string& word)
    {
        std::size_t found = 0;
        for (std::size_t i = 0; (i = text.find(word, i)) != std::string::npos; ++i)
            ++found;
        return found;
    }

    /// How many objects the mirror lacks of what `from` names.
    [[nodiscard]] std::size_t missing(const std::string& from) const
    {
        return count(git({"-C", mirror(), "rev-list", "--objects", "--quiet", "--missing=print",
                          from, "--"}),
                     "?");
    }

    [[nodiscard]] std::size_t mirrors() const
    {
        std::size_t found = 0;
        for (const fs::directory_entry& entry : fs::directory_iterator(_folder.cache() / "mirrors"))
            found += entry.path().extension() == ".git" ? 1 : 0;
        return found;
    }

    void unpack() const { unpack(mirror()); }

    /// So that each object is a file of its own.
    void unpack(const fs::path& repository) const
    {
        const fs::path aside = _folder.path() / "packs";
        fs::rename(repository / "objects/pack", aside);
        fs::create_directory(repository / "objects/pack");
        for (const fs::directory_entry& entry : fs::directory_iterator(aside))
            if (entry.path().extension() == ".pack")
                passed(PluginProcess({"/bin/sh", "-c",
                                      "git -C '" + repository.string() + "' unpack-objects -q <'" +
                                          entry.path().string() + "'"},
                                     _folder.environment({}))
                           .wait());
        fs::remove_all(aside);
    }

    static std::map<std::string, std::string> filesIn(const fs::path& folder)
    {
        std::map<std::string, std::string> files;
        for (auto i = fs::recursive_directory_iterator(folder); i != fs::end(i); ++i)
        {
            const std::string name = i->path().lexically_relative(folder);
            if (name == ".git")
                i.disable_recursion_pending();
            else
                files[name] = i->is_symlink()        ? fs::read_symlink(i->path()).string()
                              : i->is_regular_file() ? contentOf(i->path())
                                                     : "";
        }
        return files;
    }

    /// The files are those that a checkout without a filter makes.
    void sameAsWhole(const std::string& ref) const
    {
        PluginFolder whole;
        passed(checkOut(_origin, ref, whole));
        CPPUNIT_ASSERT(filesIn(whole.workspace()) == filesIn(_folder.workspace()));
        CPPUNIT_ASSERT_EQUAL(git({"-C", whole.workspace(), "rev-parse", "HEAD"}),
                             git({"-C", _folder.workspace(), "rev-parse", "HEAD"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), git({"-C", _folder.workspace(), "status", "-s"}));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitFilterTest);
