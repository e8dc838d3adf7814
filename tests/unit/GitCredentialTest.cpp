#include "tests/support/GitFixture.h"
#include "tests/support/GitHttpServer.h"
#include "tests/support/SshServer.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>

namespace fs = std::filesystem;

/// The credentials that a service has for its repository's host: docs/secrets.md.
class GitCredentialTest: public GitFixture
{
    CPPUNIT_TEST_SUITE(GitCredentialTest);
    CPPUNIT_TEST(testATokenFetches);
    CPPUNIT_TEST(testATokenStandsNowhere);
    CPPUNIT_TEST(testSubmodulesOfTheHostGetItAndNoOthers);
    CPPUNIT_TEST(testARedirectTakesNoTokenElsewhere);
    CPPUNIT_TEST(testItTakesThePlaceOfTheHostsOwn);
    CPPUNIT_TEST(testAMirrorShowsACommitToTheSameTokenOnly);
    CPPUNIT_TEST(testAnUnusableTokenIsTold);
    CPPUNIT_TEST(testAnSshKeyFetchesFromAKnownHost);
    CPPUNIT_TEST(testAnUnknownHostIsRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void testATokenFetches()
    {
        const std::string commit = serve(_origin, "r.git");
        GitHttpServer server(served());
        server.passwords = {"x-access-token:" + token};
        passed(checkOut(withToken(server.url("", "r.git"), "main")));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "file"));
        // As the user of the URL too: that is no password.
        passed(checkOut(withToken(server.url("someone@", "r.git"), commit)));
        auto wrong = withToken(server.url("", "r.git"), "main");
        wrong["READ_TOKEN"] = "another token";
        const PluginEnd end = checkOut(wrong);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
        assertFailure(end, "can't fetch");
    }

    /// Not in what a process shows of itself while it is asked, nor in a file, nor in what is said.
    void testATokenStandsNowhere()
    {
        serve(_origin, "r.git");
        GitHttpServer server(served());
        server.passwords = {"x-access-token:" + token};
        std::mutex mutex;
        std::string arguments;
        server.asked = [&]
        {
            const std::lock_guard lock(mutex);
            arguments += argumentsOfAll();
        };
        auto env = withToken(server.url("", "r.git"), "main");
        const PluginEnd end = passed(checkOut(env));
        const std::lock_guard lock(mutex);
        CPPUNIT_ASSERT(arguments.find("r.git") != std::string::npos);
        CPPUNIT_ASSERT(arguments.find(token) == std::string::npos);
        CPPUNIT_ASSERT((end.out + end.errors).find(token) == std::string::npos);
        int files = 0;
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(_folder.path()))
            if (entry.is_regular_file())
            {
                ++files;
                CPPUNIT_ASSERT_MESSAGE(entry.path(),
                                       contentOf(entry.path()).find(token) == std::string::npos);
            }
        CPPUNIT_ASSERT(files > 10);
        CPPUNIT_ASSERT_EQUAL(server.url("", "r.git") + "\n",
                             git({"-C", _folder.workspace(), "config", "remote.origin.url"}));
    }

    void testSubmodulesOfTheHostGetItAndNoOthers()
    {
        const fs::path near = submodule("near");
        const fs::path far = submodule("far");
        serve(near, "near.git");
        serve(far, "far.git");
        GitHttpServer server(served());
        GitHttpServer other(served());
        server.passwords = other.passwords = {"x-access-token:" + token};
        link(near, "near", "../near.git");
        serve(_origin, "top.git");
        auto env = withToken(server.url("", "top.git"), "main");
        env["PLUGIN_SUBMODULES"] = "true";
        passed(checkOut(env));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "near/file"));
        link(far, "far", other.url("", "far.git"));
        serve(_origin, "top.git");
        const PluginEnd end = checkOut(env);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
        CPPUNIT_ASSERT_EQUAL(0, other.credentials.load());
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "far/file"));
    }

    void testARedirectTakesNoTokenElsewhere()
    {
        serve(_origin, "r.git");
        GitHttpServer server(served());
        GitHttpServer other(served());
        other.passwords = {"x-access-token:" + token};
        server.redirect = other.url("", "");
        server.redirect.pop_back();
        const PluginEnd end = checkOut(withToken(server.url("", "r.git"), "main"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
        CPPUNIT_ASSERT(other.served == 0 && other.credentials == 0);
    }

    void testItTakesThePlaceOfTheHostsOwn()
    {
        serve(_origin, "r.git");
        GitHttpServer server(served());
        server.passwords = {"x-access-token:" + token};
        std::ofstream(_folder.path() / "gitconfig")
            << "[credential]\n\thelper = \"!f() { touch " << canary()
            << "; echo username=x; echo password=y; }; f\"\n";
        auto env = withToken(server.url("", "r.git"), "main");
        env["STAGE_AGENT_GIT_CONFIG"] = _folder.path() / "gitconfig";
        passed(checkOut(env));
        assertNoCanary("the helper of the agent's configuration");
    }

    void testAMirrorShowsACommitToTheSameTokenOnly()
    {
        const std::string commit = serve(_origin, "r.git");
        GitHttpServer server(served());
        server.passwords = {"x-access-token:" + token};
        const auto env = withToken(server.url("", "r.git"), commit);
        passed(checkOut(env));
        const int before = server.served;
        passed(checkOut(env)); // which is known
        CPPUNIT_ASSERT_EQUAL(before, server.served.load());
        auto other = env;
        other["READ_TOKEN"] = "a guessed token";
        CPPUNIT_ASSERT_EQUAL(1, checkOut(other).exitCode);
        CPPUNIT_ASSERT_EQUAL(1,
                             checkOut(settings(server.url("", "r.git"), commit, _folder)).exitCode);
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "file"));
    }

    void testAnUnusableTokenIsTold()
    {
        auto env = withToken("http://127.0.0.1:1/r.git", "main");
        env["READ_TOKEN"] = "two\nlines";
        assertFailure(checkOut(env), "READ_TOKEN of the service has more than one line");
        env.erase("READ_TOKEN");
        assertFailure(checkOut(env), "READ_TOKEN of the service is empty");
    }

    void testAnSshKeyFetchesFromAKnownHost()
    {
        if (!hasSsh())
            return;
        commitFile("file", "one");
        makeKeys();
        SshServer server(keys());
        const auto env = withKey(server, hostKey("host_key"));
        const PluginEnd end = passed(checkOut(env));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(_folder.workspace() / "file"));
        CPPUNIT_ASSERT(server.connections() > 0);
        CPPUNIT_ASSERT((end.out + end.errors).find("PRIVATE") == std::string::npos);
        for (const fs::path& folder : {_folder.cache(), _folder.workspace()})
            for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
                if (entry.is_regular_file())
                    CPPUNIT_ASSERT_MESSAGE(entry.path(), contentOf(entry.path()).find("PRIVATE") ==
                                                             std::string::npos);
        auto without = settings(env.at("PLUGIN_REPOSITORY"), "main", _folder);
        CPPUNIT_ASSERT_EQUAL(1, checkOut(without).exitCode);
    }

    /// Another key of the host, and a host that is not named; files of the user count for nothing.
    void testAnUnknownHostIsRefused()
    {
        if (!hasSsh())
            return;
        commitFile("file", "one");
        makeKeys();
        SshServer server(keys());
        const fs::path home = _folder.path() / "home";
        fs::create_directories(home / ".ssh");
        std::ofstream(home / ".ssh/known_hosts") << server.knownAs(hostKey("host_key")) << "\n";
        std::ofstream(home / ".ssh/config") << "Host *\n  StrictHostKeyChecking no\n";
        assertFailure(checkOut(withKey(server, hostKey("user_key"))),
                      "Host key verification failed");
        auto env = withKey(server, hostKey("host_key"));
        env["STAGE_AGENT_KNOWN_HOSTS"] = "git.example.org " + hostKey("host_key");
        assertFailure(checkOut(env), "Host key verification failed");
        CPPUNIT_ASSERT(!fs::exists(_folder.workspace() / "file"));
    }

private:
    static inline const std::string token = "ghp_0123456789abcdefToken";

    [[nodiscard]] fs::path served() const { return _folder.path() / "served"; }
    [[nodiscard]] fs::path keys() const { return _folder.path() / "keys"; }

    static bool hasSsh()
    {
        if (!SshServer::available())
            std::cout << "skipped: there is no " << SshServer::program << std::endl;
        return SshServer::available();
    }

    PluginEnd checkOut(const Environment& env) const
    {
        return PluginProcess(hostCommand(library(), _folder), env).wait();
    }

    [[nodiscard]] Environment withToken(const std::string& repository, const std::string& ref) const
    {
        auto env = settings(repository, ref, _folder);
        env["STAGE_AGENT_CREDENTIAL"] = "READ_TOKEN";
        env["STAGE_AGENT_CREDENTIAL_FOR"] = repository;
        env["STAGE_AGENT_CREDENTIAL_USER"] = "x-access-token";
        env["READ_TOKEN"] = token;
        return env;
    }

    [[nodiscard]] Environment withKey(const SshServer& server, const std::string& key) const
    {
        const std::string repository = server.url(_origin);
        auto env = settings(repository, "main", _folder);
        env["STAGE_AGENT_CREDENTIAL"] = "READ_KEY";
        env["STAGE_AGENT_CREDENTIAL_FOR"] = repository;
        env["STAGE_AGENT_KNOWN_HOSTS"] = server.knownAs(key);
        std::string secret = contentOf(keys() / "user_key");
        secret.pop_back(); // as readSecrets() does
        env["READ_KEY"] = secret;
        return env;
    }

    void makeKeys() const
    {
        fs::create_directory(keys());
        for (const char* name : {"host_key", "user_key"})
        {
            Environment env = _folder.environment({});
            passed(PluginProcess({"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                                  keys() / name},
                                 env)
                       .wait());
        }
    }

    [[nodiscard]] std::string hostKey(const std::string& name) const
    {
        const std::string line = contentOf(keys() / (name + ".pub"));
        return line.substr(0, line.find('\n'));
    }

    std::string serve(const fs::path& repository, const std::string& name) const
    {
        if (!fs::exists(repository / "file"))
            commitFile("file", "one", "a change", repository);
        fs::remove_all(served() / name);
        fs::create_directories(served());
        git({"clone", "-q", "--bare", repository, served() / name});
        git({"-C", served() / name, "update-server-info"});
        return git({"-C", repository, "rev-parse", "HEAD"}).substr(0, 40);
    }

    [[nodiscard]] fs::path submodule(const std::string& name) const
    {
        const fs::path repository = _folder.path() / name;
        makeRepository(repository);
        return repository;
    }

    void link(const fs::path& module, const std::string& path, const std::string& url) const
    {
        git({"-C", _origin, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
             module, path});
        git({"-C", _origin, "config", "-f", ".gitmodules", "submodule." + path + ".url", url});
        git({"-C", _origin, "add", "-A"});
        git({"-C", _origin, "commit", "-q", "-m", "link " + path});
    }

    /// What each process of the host shows to everyone.
    static std::string argumentsOfAll()
    {
        std::string all;
        for (const fs::directory_entry& entry : fs::directory_iterator("/proc"))
        {
            const std::string arguments = contentOf(entry.path() / "cmdline");
            all += arguments + "\n";
            if (arguments.find("stage-plugin-host") != std::string::npos)
                all += contentOf(entry.path() / "environ") + "\n"; // no longer
        }
        return all;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitCredentialTest);
