// Git as people have it: settings, formats, credentials and submodules that are not those of a test.
#include "tests/support/GitFixture.h"
#include "tests/support/GitHttpServer.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

namespace fs = std::filesystem;

class GitInPracticeTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitInPracticeTest);
    CPPUNIT_TEST(testConfigurationOfTheHostChangesNothing);
    CPPUNIT_TEST(testHomeIsNotAskedForConfiguration);
    CPPUNIT_TEST(testRepositoryOfSha256);
    CPPUNIT_TEST(testShallowRepository);
    CPPUNIT_TEST(testLfsPointerIsAWarning);
    CPPUNIT_TEST(testFilterOfTheOperatorIsUsed);
    CPPUNIT_TEST(testOneMirrorWhateverTheToken);
    CPPUNIT_TEST(testMirrorShowsNobodyWhatHisPasswordWouldNot);
    CPPUNIT_TEST(testRelativeSubmodulesUseTheCredentials);
    CPPUNIT_TEST(testNestedSubmodulesAreWholeRepositories);
    CPPUNIT_TEST(testSubmoduleOfThisHostIsRefusedToOthers);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Symptom: with clone.defaultRemoteName in ~/.gitconfig every checkout failed ("No such remote
    /// 'origin'"). Cause: settings of the host apply to commands that take them for defaults. Bound: none
    /// of those below changes the checkout.
    void testConfigurationOfTheHostChangesNothing()
    {
        const std::string commit = commitFile("file", "one");
        git({"-C", _origin, "branch", "topic"});
        addSubmodule(_origin, "sub");
        const std::string settings =
            "[clone]\n\tdefaultRemoteName = upstream\n\trejectShallow = true\n"
            "[checkout]\n\tdefaultRemote = upstream\n\tguess = false\n"
            "[color]\n\tui = always\n[core]\n\tquotePath = false\n\tsparseCheckout = true\n"
            "\tlogAllRefUpdates = always\n\tattributesFile = /nowhere\n\tsplitIndex = true\n"
            "\tworktree = /nowhere\n\tbare = true\n\tsharedRepository = world\n"
            "[fetch]\n\tprune = true\n\tpruneTags = true\n\trecurseSubmodules = true\n\tall = "
            "true\n"
            "[submodule]\n\trecurse = true\n\tactive = nothing\n[submodule \"sub\"]\n\turl = "
            "/nowhere\n"
            "\tupdate = none\n"
            "[remote \"origin\"]\n\turl = /nowhere\n\tfetch = +refs/*:refs/*\n\ttagOpt = --tags\n"
            "[init]\n\ttemplateDir = /nowhere\n\tdefaultBranch = other\n"
            "[transfer]\n\thideRefs = refs/heads\n[uploadpack]\n\thideRefs = refs/tags\n"
            "[safe]\n\tbareRepository = explicit\n[protocol]\n\tallow = never\n"
            "[protocol \"file\"]\n\tallow = never\n[log]\n\tshowSignature = true\n\tdecorate = "
            "full\n"
            "[format]\n\tpretty = fuller\n[commit]\n\tgpgSign = true\n[i18n]\n\tlogOutputEncoding "
            "= latin1\n";
        // What the repository itself hides is hidden to the mirror as well: the file stands for this host.
        const std::string hidden =
            "[transfer]\n\thideRefs = refs/heads\n[uploadpack]\n\thideRefs = refs/tags\n";
        std::string forFetch = settings;
        forFetch.erase(forFetch.find(hidden), hidden.size());
        for (const char* ref : {"main", "", "topic"})
        {
            const PluginEnd end = passed(checkOutConfigured(_origin, ref, forFetch));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                ref,
                std::string("topic") == ref
                    ? commit
                    : git({"-C", _origin, "rev-parse", "HEAD"}).substr(0, 40),
                end.outputs.at("commitHash"));
            CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "file"));
            CPPUNIT_ASSERT_EQUAL(_origin + "\n", git({"-C", _folder.workspace(), "config",
                                                      "--local", "--get", "remote.origin.url"}));
        }
        CPPUNIT_ASSERT(fs::exists(_folder.workspace() / ".git"));
        passed(checkOutConfigured(_origin, "main", forFetch));
        CPPUNIT_ASSERT_EQUAL(std::string("inner of sub"),
                             contentOf(_folder.workspace() / "sub/inner"));
    }

    /// A stage that runs as the agent's user may write to HOME.
    void testHomeIsNotAskedForConfiguration()
    {
        commitFile("file", "one");
        const std::string planted = "[remote \"" + _origin + "\"]\n\tuploadpack = touch " +
                                    canary() + "; git-upload-pack\n[core]\n\tgitProxy = touch " +
                                    canary() + "\n\tsshCommand = touch " + canary() + "\n";
        const fs::path home = _folder.path() / "home";
        std::ofstream(home / ".gitconfig") << planted;
        fs::create_directories(home / ".config/git");
        std::ofstream(home / ".config/git/config") << planted;
        passed(checkOut(_origin, "main"));
        assertNoCanary("HOME");
        // And a mirror.
        for (const char* place : {"config", "config.worktree"})
            std::ofstream(mirror() / place, std::ios::app)
                << planted << "[extensions]\n\tworktreeConfig = true\n";
        fs::create_directories(mirror() / "hooks");
        for (const char* hook :
             {"reference-transaction", "post-update", "pre-auto-gc", "post-checkout"})
        {
            std::ofstream(mirror() / "hooks" / hook) << "#!/bin/sh\ntouch " << canary() << "\n";
            fs::permissions(mirror() / "hooks" / hook, fs::perms::owner_all);
        }
        commitFile("file", "two");
        passed(checkOut(_origin, "main"));
        assertNoCanary("mirror");
        CPPUNIT_ASSERT(!fs::exists(mirror() / "hooks"));
        CPPUNIT_ASSERT(contentOf(mirror() / "config").find("uploadpack = ") == std::string::npos);
        assertFailure(checkOut("ssh://127.0.0.1:1/a", "main"), "git: can't fetch ");
        assertFailure(checkOut("git://127.0.0.1:1/a", "main"), "git: can't fetch ");
        assertNoCanary("HOME");
    }

    void testRepositoryOfSha256()
    {
        const std::string origin = _folder.path() / "sha256";
        git({"init", "-q", "--object-format=sha256", origin});
        commitFile("file", "one", "first", origin);
        const std::string first = git({"-C", origin, "rev-parse", "HEAD"}).substr(0, 64);
        commitFile("file", "two", "second", origin);
        git({"-C", origin, "tag", "-a", "-m", "annotated", "v1"});
        const std::string second = git({"-C", origin, "rev-parse", "HEAD"}).substr(0, 64);
        for (const auto& [ref, commit] :
             std::vector<std::pair<std::string, std::string>>{{"main", second},
                                                              {"", second},
                                                              {first, first},
                                                              {"v1", second},
                                                              {first.substr(0, 12), first},
                                                              {first.substr(0, 40), first}})
        {
            const PluginEnd end = passed(checkOut(origin, ref));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ref, commit, end.outputs.at("commitHash"));
            CPPUNIT_ASSERT_EQUAL(commit + "\n",
                                 git({"-C", _folder.workspace(), "rev-parse", "HEAD"}));
        }
        // One that changes its format is another repository.
        fs::remove_all(origin);
        makeRepository(origin);
        const std::string third = commitFile("file", "three", "third", origin);
        CPPUNIT_ASSERT_EQUAL(third, passed(checkOut(origin, "main")).outputs.at("commitHash"));
    }

    void testShallowRepository()
    {
        commitFile("file", "one");
        commitFile("file", "two");
        const std::string last = commitFile("file", "three");
        const std::string shallow = _folder.path() / "shallow";
        git({"clone", "-q", "--depth", "1", "file://" + _origin, shallow});
        for (const std::string& ref : {std::string("main"), last, std::string()})
            CPPUNIT_ASSERT_EQUAL(last, passed(checkOut(shallow, ref)).outputs.at("commitHash"));
        CPPUNIT_ASSERT_EQUAL(std::string("1\n"), commits());

        // It grows, and with it the mirror.
        const std::string next = commitFile("file", "four", "next", shallow);
        CPPUNIT_ASSERT_EQUAL(next, passed(checkOut(shallow, "main")).outputs.at("commitHash"));
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), commits());
        git({"-C", shallow, "fetch", "-q", "--unshallow"});
        passed(checkOut(shallow, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("4\n"), commits());
    }

    void testLfsPointerIsAWarning()
    {
        std::ofstream(fs::path(_origin) / ".gitattributes")
            << "*.bin filter=lfs diff=lfs merge=lfs -text\n";
        for (const char* name : {"a.bin", "folder/b.bin", "c.bin", "d.bin"})
            commitFile(name, "version https://git-lfs.github.com/spec/v1\noid sha256:" +
                                 std::string(64, 'a') + "\nsize 12345\n");
        commitFile("real.bin", "content");
        commitFile("no.txt", "version https://git-lfs.github.com/spec/v1\n");
        const PluginEnd end = passed(checkOut(_origin, "main"));
        CPPUNIT_ASSERT_MESSAGE(
            end.out,
            end.out.find("git: warning: 4 files are kept by Git LFS, and not here but as "
                         "pointers: a.bin, c.bin, d.bin, …. Install git-lfs") != std::string::npos);
        git({"-C", _origin, "rm", "-q", "-r", "*.bin"});
        commitFile("file", "one");
        CPPUNIT_ASSERT(passed(checkOut(_origin, "main")).out.find("LFS") == std::string::npos);
    }

    /// As `git lfs install` sets one up.
    void testFilterOfTheOperatorIsUsed()
    {
        std::ofstream(fs::path(_origin) / ".gitattributes") << "*.bin filter=lfs\n";
        commitFile("a.bin", "version https://git-lfs.github.com/spec/v1\n");
        const PluginEnd end = passed(checkOutConfigured(
            _origin, "main",
            "[filter \"lfs\"]\n\tsmudge = \"cat >/dev/null; echo content of %f\"\n\tclean = cat\n"
            "\trequired = true\n[filter \"other\"]\n\tsmudge = false\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("content of a.bin\n"),
                             contentOf(_folder.workspace() / "a.bin"));
        CPPUNIT_ASSERT(end.out.find("warning") == std::string::npos);
    }

    void testOneMirrorWhateverTheToken()
    {
        serve(_origin, "r.git");
        GitHttpServer server(served());
        for (const char* user : {"x-access-token:one@", "x-access-token:two@", "TOKEN@", ""})
            passed(checkOut(server.url(user, "r.git"), "main"));
        int mirrors = 0;
        for (const fs::directory_entry& entry : fs::directory_iterator(_folder.cache() / "mirrors"))
        {
            mirrors += entry.path().extension() == ".git" ? 1 : 0;
            if (entry.is_regular_file())
                CPPUNIT_ASSERT_EQUAL(server.url("", "r.git") + "\n", contentOf(entry.path()));
        }
        CPPUNIT_ASSERT_EQUAL(1, mirrors);
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(_folder.cache()))
            if (entry.is_regular_file())
                CPPUNIT_ASSERT_MESSAGE(entry.path(),
                                       contentOf(entry.path()).find("one@") == std::string::npos);
    }

    void testMirrorShowsNobodyWhatHisPasswordWouldNot()
    {
        const std::string commit = serve(_origin, "r.git");
        GitHttpServer server(served());
        server.passwords = {"ada:right"};
        passed(checkOut(server.url("ada:right@", "r.git"), commit));
        for (const char* user : {"", "ada:wrong@", "bob:right@"})
            for (const std::string& ref : {commit, std::string("main"), std::string()})
            {
                const PluginEnd end = checkOut(server.url(user, "r.git"), ref);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(user + ref + end.describe(), 1, end.exitCode);
                CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "file"));
            }
        // Whom the server has let in needs no fetch for a commit that is there.
        const int before = server.served;
        passed(checkOut(server.url("ada:right@", "r.git"), commit));
        CPPUNIT_ASSERT_EQUAL(before, server.served.load());
    }

    /// Symptom: "could not read Password" for a submodule at ../sub.git of https://user:password@…. Cause: the
    /// workspace's origin has no password, and git resolves the URL against that. Bound: as `git clone
    /// --recurse-submodules`, one level deeper as well, and no password stands in the workspace.
    void testRelativeSubmodulesUseTheCredentials()
    {
        const fs::path inner = _folder.path() / "inner";
        const fs::path middle = _folder.path() / "middle";
        for (const fs::path& repository : {inner, middle})
        {
            makeRepository(repository);
            commitFile("file", repository.filename(), "first", repository);
        }
        serve(inner, "inner.git");
        link(middle, inner, "deep/inner", "../inner.git");
        serve(middle, "group/middle.git");
        // From group/middle.git the inner one is elsewhere: link it anew.
        link(middle, inner, "deep/inner", "../../inner.git");
        serve(middle, "group/middle.git");
        link(_origin, middle, "mod", "./../group/middle.git");
        serve(_origin, "top.git");
        GitHttpServer server(served());
        server.passwords = {"user:pw"};
        passed(checkOutWithSubmodules(server.url("user:pw@", "top.git")));
        CPPUNIT_ASSERT_EQUAL(std::string("inner"),
                             contentOf(_folder.workspace() / "mod/deep/inner/file"));
        for (const fs::directory_entry& entry :
             fs::recursive_directory_iterator(_folder.workspace()))
            if (entry.is_regular_file())
                CPPUNIT_ASSERT_MESSAGE(entry.path(),
                                       contentOf(entry.path()).find("pw@") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(
            server.url("user@", "group/middle.git") + "\n",
            git({"-C", _folder.workspace() / "mod", "config", "remote.origin.url"}));
        const PluginEnd end = checkOutWithSubmodules(server.url("user:no@", "top.git"));
        CPPUNIT_ASSERT_EQUAL(1, end.exitCode);
    }

    /// A stage uses them as git leaves them.
    void testNestedSubmodulesAreWholeRepositories()
    {
        commitFile("file", "one");
        const fs::path outer = addSubmodule(_origin, "a dir/it's = \"outer\"");
        addSubmodule(outer, "nested");
        git({"-C", fs::path(_origin) / "a dir/it's = \"outer\"", "pull", "-q"});
        commitFile("file", "two");
        passed(checkOutWithSubmodules(_origin));
        const fs::path workspace = _folder.workspace();
        const fs::path inner = workspace / "a dir/it's = \"outer\"/nested";
        CPPUNIT_ASSERT_EQUAL(std::string("inner of nested"), contentOf(inner / "inner"));
        CPPUNIT_ASSERT_EQUAL(std::string(), git({"-C", workspace, "status", "--porcelain"}));
        const std::string status = git({"-C", workspace, "submodule", "status", "--recursive"});
        CPPUNIT_ASSERT_MESSAGE(status,
                               status.starts_with(' ') && status.find("\n ") != std::string::npos);
        git({"-C", workspace, "submodule", "--quiet", "foreach", "--recursive",
             "git fsck --strict"});
        for (const fs::directory_entry& entry :
             fs::recursive_directory_iterator(workspace / ".git"))
            CPPUNIT_ASSERT(!entry.is_regular_file() || entry.hard_link_count() == 1);
        // A second time, from the mirrors, of a commit that they have.
        fs::rename(outer, outer.string() + ".away");
        passed(checkOutWithSubmodules(_origin));
        CPPUNIT_ASSERT_EQUAL(std::string("inner of nested"), contentOf(inner / "inner"));
    }

    void testSubmoduleOfThisHostIsRefusedToOthers()
    {
        const fs::path secret = addSubmodule(_origin, "sub");
        serve(_origin, "top.git");
        GitHttpServer server(served());
        for (const std::string& url : {std::string(secret), "file://" + secret.string(),
                                       std::string("ext::sh -c touch% ") + canary(),
                                       std::string("--upload-pack=touch ") + canary()})
        {
            git({"-C", _origin, "config", "-f", ".gitmodules", "submodule.sub.url", url});
            commitFile("other", url);
            serve(_origin, "top.git");
            const PluginEnd end = checkOutWithSubmodules(server.url("", "top.git"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(url + end.describe(), 1, end.exitCode);
            CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "sub/inner"));
            assertNoCanary(url);
        }
    }

private:
    [[nodiscard]] fs::path served() const { return _folder.path() / "served"; }

    /// Puts what `repository` has now where a server finds it. Returns its newest commit.
    std::string serve(const fs::path& repository, const std::string& name)
    {
        if (!fs::exists(repository / "file"))
            commitFile("file", "one", "a change", repository);
        fs::remove_all(served() / name);
        fs::create_directories((served() / name).parent_path());
        git({"clone", "-q", "--bare", repository, served() / name});
        git({"-C", served() / name, "update-server-info"});
        return git({"-C", repository, "rev-parse", "HEAD"}).substr(0, 40);
    }

    /// Commits `module` as a submodule of `repository` whose URL is `url`.
    void link(const fs::path& repository, const fs::path& module, const std::string& path,
              const std::string& url)
    {
        if (!fs::exists(repository / path / ".git"))
            git({"-C", repository, "-c", "protocol.file.allow=always", "submodule", "--quiet",
                 "add", module, path});
        git({"-C", repository, "config", "-f", ".gitmodules", "submodule." + path + ".url", url});
        git({"-C", repository, "commit", "-q", "-a", "-m", "link " + url});
    }

    /// Adds a new repository with a file `inner` as a submodule. Returns the repository.
    fs::path addSubmodule(const fs::path& repository, const std::string& path)
    {
        const fs::path module = _folder.path() / ("module" + std::to_string(++_modules));
        makeRepository(module);
        commitFile("inner", "inner of " + fs::path(path).filename().string(), "inner", module);
        git({"-C", repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
             module, path});
        git({"-C", repository, "commit", "-q", "-m", "add a submodule"});
        return module;
    }

    PluginEnd checkOutWithSubmodules(const std::string& repository)
    {
        auto env = settings(repository, "main", _folder);
        env["PLUGIN_SUBMODULES"] = "true";
        return PluginProcess(hostCommand(library(), _folder), env).wait();
    }

    /// With submodules, and `config` as the agent's configuration of git.
    PluginEnd checkOutConfigured(const std::string& repository, const std::string& ref,
                                 const std::string& config)
    {
        std::ofstream(_folder.path() / "gitconfig") << config;
        auto env = settings(repository, ref, _folder);
        env["PLUGIN_SUBMODULES"] = "true";
        env["STAGE_AGENT_GIT_CONFIG"] = _folder.path() / "gitconfig";
        return PluginProcess(hostCommand(library(), _folder), env).wait();
    }

    [[nodiscard]] std::string commits() const
    {
        return git({"-C", _folder.workspace(), "rev-list", "--count", "HEAD"});
    }

    int _modules = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitInPracticeTest);
