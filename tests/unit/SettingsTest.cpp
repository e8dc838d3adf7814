#include "agent/ctl/Settings.h"

#include "agent/ctl/Failure.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Variable.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <optional>
#include <vector>

using agent::FilesFolder;
using agent::Variable;
using agent::ctl::Exit;
using agent::ctl::Failure;
using agent::ctl::findSettings;
using agent::ctl::Settings;

namespace
{

using Urls = std::vector<std::string>;

/// Of a user who has set nothing.
struct Surroundings
{
    explicit Surroundings(const std::string& folder) : home("HOME", folder) {}

    Variable home;
    Variable xdg{"XDG_CONFIG_HOME"};
    Variable state{"XDG_STATE_HOME"};
    Variable url{"STAGE_AGENT_URL"};
    Variable token{"STAGE_AGENT_TOKEN"};
};

} // namespace

class SettingsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SettingsTest);
    CPPUNIT_TEST(testDefaultsToTheAgentOfThisHost);
    CPPUNIT_TEST(testTheCommandLineComesFirstThenTheEnvironmentThenTheFile);
    CPPUNIT_TEST(testEachSourceMayNameSeveralAgents);
    CPPUNIT_TEST(testSourcesAreNotMixed);
    CPPUNIT_TEST(testTheFileIsInXdgConfigHome);
    CPPUNIT_TEST(testReportsAnInvalidLine);
    CPPUNIT_TEST(testTheCertificatesToBelieveAreGivenOnceForAll);
    CPPUNIT_TEST(testTheTokenHasTheSameOrder);
    CPPUNIT_TEST(testRefusesATokenFileAccessibleToAllUsers);
    CPPUNIT_TEST(testATokenIsOneWord);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _at.emplace(_files.path().string()); }
    void tearDown() override { _at.reset(); }

    void testDefaultsToTheAgentOfThisHost()
    {
        const Settings settings = findSettings({}, "");
        CPPUNIT_ASSERT(settings.agents == Urls{"http://127.0.0.1:7824"});
        CPPUNIT_ASSERT(!settings.named);
        CPPUNIT_ASSERT_EQUAL(std::string(), settings.token);
    }

    void testTheCommandLineComesFirstThenTheEnvironmentThenTheFile()
    {
        _files.write(".config/stagectl", "# a comment\n\n agent =  http://file \n");
        CPPUNIT_ASSERT(findSettings({}, "").agents == Urls{"http://file"});
        _at->url.set("http://environment");
        CPPUNIT_ASSERT(findSettings({}, "").agents == Urls{"http://environment"});
        CPPUNIT_ASSERT(!findSettings({}, "").named);
        CPPUNIT_ASSERT(findSettings({"http://option"}, "").agents == Urls{"http://option"});
        CPPUNIT_ASSERT(findSettings({"http://option"}, "").named);
        CPPUNIT_ASSERT(findSettings({""}, "").agents == Urls{"http://environment"});
    }

    void testEachSourceMayNameSeveralAgents()
    {
        const Urls both{"http://one", "http://two"};
        _files.write(".config/stagectl", "agent = http://one\nagent = http://two\n");
        CPPUNIT_ASSERT(findSettings({}, "").agents == both);
        _at->url.set(" http://two \t http://one ");
        CPPUNIT_ASSERT((findSettings({}, "").agents == Urls{"http://two", "http://one"}));
        CPPUNIT_ASSERT(findSettings(both, "").agents == both);
    }

    void testSourcesAreNotMixed()
    {
        _files.write(".config/stagectl", "agent = http://one\nagent = http://two\n");
        _at->url.set("http://three");
        CPPUNIT_ASSERT(findSettings({}, "").agents == Urls{"http://three"});
        CPPUNIT_ASSERT(findSettings({"http://four"}, "").agents == Urls{"http://four"});
    }

    void testTheFileIsInXdgConfigHome()
    {
        _files.write(".config/stagectl", "agent = http://home\n");
        _files.write("xdg/stagectl", "agent = http://xdg\n");
        _at->xdg.set((_files.path() / "xdg").string());
        CPPUNIT_ASSERT(findSettings({}, "").agents == Urls{"http://xdg"});
    }

    void testReportsAnInvalidLine()
    {
        for (const char* line : {"agents = http://one", "agent", "agent =", "token_file = x"})
        {
            const auto file = _files.write(".config/stagectl", std::string("# \n") + line + "\n");
            assertRefused([] { findSettings({"http://option"}, ""); }, file.string() + ":2");
        }
    }

    void testTheCertificatesToBelieveAreGivenOnceForAll()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), findSettings({}, "").caFile);
        _files.write(".config/stagectl", "agent = https://one\nca-file = ~/ca.pem\n");
        CPPUNIT_ASSERT_EQUAL((_files.path() / "ca.pem").string(), findSettings({}, "").caFile);
        CPPUNIT_ASSERT_EQUAL(std::string("other.pem"), findSettings({}, "", "other.pem").caFile);
    }

    void testTheTokenHasTheSameOrder()
    {
        secret("of-file", "file", 0600);
        const std::string option = secret("of-option", "option\n", 0600);
        _files.write(".config/stagectl", "token-file = ~/of-file\n");
        CPPUNIT_ASSERT_EQUAL(std::string("file"), findSettings({}, "").token);
        _at->token.set("environment");
        CPPUNIT_ASSERT_EQUAL(std::string("environment"), findSettings({}, "").token);
        CPPUNIT_ASSERT_EQUAL(std::string("option"), findSettings({}, option).token);
    }

    /// The group may read it: a team shares one.
    void testRefusesATokenFileAccessibleToAllUsers()
    {
        for (const int mode : {0644, 0602, 0601})
        {
            const std::string file = secret("token", "secret", mode);
            assertRefused([&] { findSettings({}, file); }, "chmod o= " + file);
        }
        for (const int mode : {0600, 0640, 0400})
            CPPUNIT_ASSERT_EQUAL(std::string("secret"),
                                 findSettings({}, secret("token", "secret", mode)).token);
    }

    void testATokenIsOneWord()
    {
        assertRefused([&] { findSettings({}, secret("empty", " \n", 0600)); }, "holds no token");
        assertRefused([&] { findSettings({}, secret("two", "a b", 0600)); }, "more than one");
        assertRefused([&] { findSettings({}, (_files.path() / "none").string()); }, "can't read");
    }

private:
    std::string secret(const std::string& name, const std::string& text, int mode) const
    {
        std::filesystem::remove(_files.path() / name);
        std::string file = _files.write(name, text).string();
        ::chmod(file.c_str(), static_cast<mode_t>(mode));
        return file;
    }

    template <typename Call> static void assertRefused(const Call& call, const std::string& part)
    {
        try
        {
            call();
        }
        catch (const Failure& failure)
        {
            CPPUNIT_ASSERT(failure.exit() == Exit::Usage);
            CPPUNIT_ASSERT_MESSAGE(failure.what(),
                                   std::string(failure.what()).find(part) != std::string::npos);
            return;
        }
        CPPUNIT_FAIL("not refused: " + part);
    }

    FilesFolder _files;
    std::optional<Surroundings> _at;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SettingsTest);
