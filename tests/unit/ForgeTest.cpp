#include "agent/intake/Forge.h"
#include "agent/intake/Hooks.h"
#include "agent/model/RepositoryName.h"
#include "tests/support/HookPayloads.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

using test::HookFacts;
using Kind = ForgeEvent::Kind;

/// What is read of what forges deliver, and who is believed: docs/hooks.md.
class ForgeTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ForgeTest);
    CPPUNIT_TEST(testUrlsOfOneRepositoryAreTheSame);
    CPPUNIT_TEST(testOnlyWhoKnowsTheSecretIsBelieved);
    CPPUNIT_TEST(testPushesAreRead);
    CPPUNIT_TEST(testPullRequestsAreRead);
    CPPUNIT_TEST(testMergeRequestsAreRead);
    CPPUNIT_TEST(testWhatStartsNoRunSaysWhy);
    CPPUNIT_TEST(testWhatIsNoDeliveryIsRefused);
    CPPUNIT_TEST(testEventsOfGitlabThatShareAnIdDiffer);
    CPPUNIT_TEST(testWhatIsShownOfAnEventIsShort);
    CPPUNIT_TEST(testRulesSelectBranchesTagsAndBases);
    CPPUNIT_TEST_SUITE_END();

public:
    void testUrlsOfOneRepositoryAreTheSame()
    {
        for (const char* url :
             {"https://git.example.org/acme/payment.git", "https://git.example.org/acme/payment",
              "https://GIT.Example.org/acme/payment/", "http://git.example.org/acme/payment.git",
              "ssh://git@git.example.org/acme/payment.git",
              "ssh://git@git.example.org:2222/acme/payment", "git@git.example.org:acme/payment.git",
              "git.example.org:acme/payment", "https://ada:token@git.example.org/acme/payment.git",
              "https://git.example.org:8443/acme/payment.git"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(url, std::string("git.example.org/acme/payment"),
                                         repositoryName(url));
        for (const char* other :
             {"https://git.example.org/acme/Payment",
              "https://git.example.org.evil.net/acme/payment",
              "https://git.example.org/x/acme/payment", "/acme/payment", "https://git.example.org/",
              "https://git.example.org@evil.net/acme/payment", ""})
            CPPUNIT_ASSERT_MESSAGE(other, repositoryName(other) != "git.example.org/acme/payment");
        CPPUNIT_ASSERT_EQUAL(std::string(), repositoryName("https://git.example.org/"));
        CPPUNIT_ASSERT_EQUAL(std::string("/srv/git/payment"),
                             repositoryName("/srv/git/payment.git"));
        CPPUNIT_ASSERT_EQUAL(std::string("[::1]/a"), repositoryName("http://[::1]:3000/a.git"));
    }

    void testOnlyWhoKnowsTheSecretIsBelieved()
    {
        // The example of GitHub's documentation.
        const std::string secret = "It's a Secret to Everybody";
        const HookHeaders known{
            {"x-hub-signature-256",
             "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}};
        CPPUNIT_ASSERT(proves(Forge::Github, known, "Hello, World!", secret));
        CPPUNIT_ASSERT(!proves(Forge::Github, known, "Hello, World?", secret));
        CPPUNIT_ASSERT(!proves(Forge::Github, known, "Hello, World!", "It's no secret"));
        CPPUNIT_ASSERT(!proves(Forge::Github, {}, "Hello, World!", secret));
        CPPUNIT_ASSERT(!proves(Forge::Github, {{"x-hub-signature-256", "sha256="}}, "", secret));
        CPPUNIT_ASSERT(!proves(Forge::Gitea, known, "Hello, World!", secret));
        CPPUNIT_ASSERT(
            proves(Forge::Gitea, test::giteaHeaders("push", "1", "x", secret), "x", secret));
        CPPUNIT_ASSERT(proves(Forge::Gitlab, {{"x-gitlab-token", secret}}, "any", secret));
        CPPUNIT_ASSERT(!proves(Forge::Gitlab, {{"x-gitlab-token", secret + " "}}, "any", secret));
        for (const Forge forge : {Forge::Github, Forge::Gitlab, Forge::Gitea})
            CPPUNIT_ASSERT(!proves(forge, {{"x-gitlab-token", ""}}, "", ""));
    }

    void testPushesAreRead()
    {
        const HookFacts main;
        const HookFacts tag{.ref = "refs/tags/v1.2",
                            .commit = "37d75a80a3ae0a9a0b6dd0d5a6e0a9a5b9b3b0b9"};
        for (const auto& facts : {main, tag})
            for (const auto& event :
                 {github("push", test::pushJson(facts)), gitea("push", test::pushJson(facts)),
                  gitlab("Push Hook", test::gitlabPushJson(facts))})
            {
                CPPUNIT_ASSERT((facts.ref == main.ref ? Kind::Push : Kind::Tag) == event.kind);
                CPPUNIT_ASSERT_EQUAL(std::string(facts.ref == main.ref ? "main" : "v1.2"),
                                     event.branch);
                // Of a tag the commit, not the tag's own object.
                CPPUNIT_ASSERT_EQUAL(test::hookCommit, event.commit);
                CPPUNIT_ASSERT_EQUAL(facts.message, event.message);
                CPPUNIT_ASSERT_EQUAL(std::string("Ada <ada@example.org>"), event.committer);
                CPPUNIT_ASSERT_EQUAL(std::string("ada"), event.sender);
                CPPUNIT_ASSERT_EQUAL(std::string("id-1"), event.delivery.substr(0, 4));
                CPPUNIT_ASSERT_EQUAL(std::size_t(3), event.repositories.size());
                for (const auto& url : event.repositories)
                    CPPUNIT_ASSERT_EQUAL(std::string("git.example.org/acme/payment"),
                                         repositoryName(url));
                CPPUNIT_ASSERT(!event.pullRequest() && !event.pullNumber);
            }
    }

    void testPullRequestsAreRead()
    {
        for (const auto& [action, kind] : std::vector<std::pair<std::string, Kind>>{
                 {"opened", Kind::PullRequestOpened},
                 {"reopened", Kind::PullRequestOpened},
                 {"ready_for_review", Kind::PullRequestOpened},
                 {"synchronize", Kind::PullRequestUpdated},
                 {"synchronized", Kind::PullRequestUpdated},
                 {"closed", Kind::None},
                 {"labeled", Kind::None}})
        {
            const std::string body = test::pullRequestJson({.action = action});
            for (const auto& event : {github("pull_request", body), gitea("pull_request", body)})
            {
                CPPUNIT_ASSERT_MESSAGE(action, kind == event.kind);
                CPPUNIT_ASSERT_EQUAL(std::string("feature/x"), event.branch);
                CPPUNIT_ASSERT_EQUAL(std::string("main"), event.base);
                CPPUNIT_ASSERT_EQUAL(test::hookCommit, event.commit);
                CPPUNIT_ASSERT_EQUAL(std::int64_t(2), *event.pullNumber);
                CPPUNIT_ASSERT(!event.fork);
            }
        }
        CPPUNIT_ASSERT(
            github("pull_request", test::pullRequestJson({.headRepository = "mallory/payment"}))
                .fork);
        CPPUNIT_ASSERT(github("pull_request", test::pullRequestJson({.headRepository = ""})).fork);
    }

    void testMergeRequestsAreRead()
    {
        const std::string name = "Merge Request Hook";
        CPPUNIT_ASSERT(Kind::PullRequestOpened ==
                       gitlab(name, test::mergeRequestJson({.action = "open"})).kind);
        const auto updated =
            gitlab(name, test::mergeRequestJson({.action = "update"},
                                                R"(,"oldrev":"95790bf891e76fee5e1747ab")"));
        CPPUNIT_ASSERT(Kind::PullRequestUpdated == updated.kind);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(7), *updated.pullNumber);
        CPPUNIT_ASSERT_EQUAL(std::string("feature/x"), updated.branch);
        CPPUNIT_ASSERT_EQUAL(std::string("main"), updated.base);
        CPPUNIT_ASSERT(!updated.fork);
        CPPUNIT_ASSERT(Kind::None ==
                       gitlab(name, test::mergeRequestJson({.action = "update"})).kind);
        CPPUNIT_ASSERT(Kind::None ==
                       gitlab(name, test::mergeRequestJson({.action = "merge"})).kind);
        CPPUNIT_ASSERT(
            Kind::PullRequestOpened ==
            gitlab(name, test::mergeRequestJson({.action = "update"}, "",
                                                R"({"draft":{"previous":true,"current":false}})"))
                .kind);
        CPPUNIT_ASSERT(gitlab(name, test::mergeRequestJson(
                                        {.action = "open", .headRepository = "mallory/payment"}))
                           .fork);
    }

    void testWhatStartsNoRunSaysWhy()
    {
        for (const auto& [event, why] : std::vector<std::pair<ForgeEvent, std::string>>{
                 {github("ping", R"({"zen":"Keep it simple"})"), "test of the connection"},
                 {github("star", "{}"), "'star'"},
                 {github("push", test::pushJson({.deleted = true})), "branch was deleted"},
                 {gitlab("Push Hook", test::gitlabPushJson({.deleted = true})), "deleted"},
                 {gitlab("Tag Push Hook",
                         test::gitlabPushJson({.ref = "refs/tags/v1", .deleted = true})),
                  "tag was deleted"},
                 {github("push", test::pushJson({.ref = "refs/notes/commits"})), "neither"},
                 {github("push", test::pushJson({.message = "Typo [skip ci]"})), "[skip ci]"},
                 {gitea("push", test::pushJson({.message = "[ci skip] typo"})), "[skip ci]"},
                 {github("pull_request", test::pullRequestJson({.draft = true})), "draft"},
                 {gitlab("Merge Request Hook",
                         test::mergeRequestJson({.action = "open", .draft = true})),
                  "draft"},
                 {gitlab("Note Hook", R"({"object_kind":"note"})"), "'Note Hook'"}})
        {
            CPPUNIT_ASSERT_MESSAGE(why, Kind::None == event.kind);
            CPPUNIT_ASSERT_MESSAGE(event.why, event.why.find(why) != std::string::npos);
        }
    }

    void testWhatIsNoDeliveryIsRefused()
    {
        for (const std::string& body :
             {std::string(), std::string("[]"), std::string("{"), std::string("payload=%7B%7D"),
              std::string("{\"a\":\"\xff\"}"), std::string(100'000, '[')})
            CPPUNIT_ASSERT_THROW(github("push", body), std::runtime_error);
        CPPUNIT_ASSERT_THROW(eventOf(Forge::Github, {}, "{}"), std::runtime_error);
        CPPUNIT_ASSERT_THROW(eventOf(Forge::Gitlab, {{"x-github-event", "push"}}, "{}"),
                             std::runtime_error);
        // Members of other kinds count as missing.
        const auto odd = github("push", R"({"ref":7,"after":{},"repository":[],"deleted":"yes"})");
        CPPUNIT_ASSERT(Kind::None == odd.kind);
        CPPUNIT_ASSERT(odd.repositories.empty());
    }

    /// X-Gitlab-Event-UUID may be that of a push, of which several events come.
    void testEventsOfGitlabThatShareAnIdDiffer()
    {
        const auto main = gitlab("Push Hook", test::gitlabPushJson({}));
        const auto other = gitlab("Push Hook", test::gitlabPushJson({.ref = "refs/heads/other"}));
        CPPUNIT_ASSERT(main.delivery != other.delivery);
        CPPUNIT_ASSERT_EQUAL(main.delivery, gitlab("Push Hook", test::gitlabPushJson({})).delivery);
        const std::string body = test::gitlabPushJson({});
        auto headers = test::gitlabHeaders("Push Hook", "id-1", "s");
        headers["idempotency-key"] = "key-1";
        CPPUNIT_ASSERT_EQUAL(std::string("key-1"), eventOf(Forge::Gitlab, headers, body).delivery);
    }

    void testWhatIsShownOfAnEventIsShort()
    {
        const std::string longText(1'000'000, 'x');
        for (const auto& event :
             {github("pull_request", test::pullRequestJson({.action = longText})),
              gitea("pull_request", test::pullRequestJson({.action = longText})),
              gitlab("Merge Request Hook", test::mergeRequestJson({.action = longText})),
              github(longText, "{}")})
        {
            CPPUNIT_ASSERT(event.why.size() < 400);
            CPPUNIT_ASSERT(event.name.size() < 400);
        }
        Service service;
        service.on = OnRules{.pullRequest = true, .bases = {"main"}};
        const ForgeEvent request{.kind = Kind::PullRequestOpened, .branch = "x", .base = longText};
        CPPUNIT_ASSERT(noRunBecause(service, request).size() < 400);
    }

    void testRulesSelectBranchesTagsAndBases()
    {
        Service service;
        ForgeEvent push{.kind = Kind::Push, .branch = "release/1.2"};
        CPPUNIT_ASSERT(!noRunBecause(service, push).empty());
        service.on = OnRules{.branches = {"main", "release/*"}, .tags = {"v*"}};
        CPPUNIT_ASSERT_EQUAL(std::string(), noRunBecause(service, push));
        push.branch = "feature/x";
        CPPUNIT_ASSERT_EQUAL(
            std::string("branch feature/x is none of on.push.branches (main, release/*)"),
            noRunBecause(service, push));
        ForgeEvent tag{.kind = Kind::Tag, .branch = "v1"};
        CPPUNIT_ASSERT_EQUAL(std::string(), noRunBecause(service, tag));
        tag.branch = "main"; // a tag that is called as a branch is none
        CPPUNIT_ASSERT(!noRunBecause(service, tag).empty());
        ForgeEvent request{.kind = Kind::PullRequestOpened, .branch = "x", .base = "main"};
        CPPUNIT_ASSERT(!noRunBecause(service, request).empty());
        service.on->pullRequest = true;
        CPPUNIT_ASSERT_EQUAL(std::string(), noRunBecause(service, request));
        service.on->bases = {"release/*"};
        CPPUNIT_ASSERT(!noRunBecause(service, request).empty());
        service.on->bases = {"main"};
        request.fork = true;
        CPPUNIT_ASSERT_EQUAL(
            std::string("the pull request comes from another repository: forks run nothing"),
            noRunBecause(service, request));
    }

private:
    static ForgeEvent github(const std::string& event, const std::string& body)
    {
        return eventOf(Forge::Github, test::githubHeaders(event, "id-1", body, "s"), body);
    }
    static ForgeEvent gitea(const std::string& event, const std::string& body)
    {
        return eventOf(Forge::Gitea, test::giteaHeaders(event, "id-1", body, "s"), body);
    }
    static ForgeEvent gitlab(const std::string& event, const std::string& body)
    {
        return eventOf(Forge::Gitlab, test::gitlabHeaders(event, "id-1", "s"), body);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ForgeTest);

} // namespace agent
