#include "tests/support/AccessFixture.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/HookPayloads.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <set>
#include <thread>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::contentOf;
using agent::test::giteaHeaders;
using agent::test::githubHeaders;
using agent::test::gitlabHeaders;
using agent::test::gitlabPushJson;
using agent::test::hookCommit;
using agent::test::HookHeaderMap;
using agent::test::mergeRequestJson;
using agent::test::pullRequestJson;
using agent::test::pushJson;
using agent::test::waitFor;

/// What forges deliver becomes runs: docs/hooks.md.
class HooksTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(HooksTest);
    CPPUNIT_TEST(testAPushOfEachForgeBecomesARun);
    CPPUNIT_TEST(testWhoeverDoesNotKnowTheSecretIsRefused);
    CPPUNIT_TEST(testADeliveryThatComesAgainStartsNothing);
    CPPUNIT_TEST(testADeliveryMayComeAgainAfterACorrection);
    CPPUNIT_TEST(testTwoWebhooksMayShareADelivery);
    CPPUNIT_TEST(testRacingDeliveriesStartOneRunEach);
    CPPUNIT_TEST(testSeveralServicesMayHaveOneRepository);
    CPPUNIT_TEST(testAServiceMayHaveASecretOfItsOwn);
    CPPUNIT_TEST(testWhatStartsNoRunSaysWhy);
    CPPUNIT_TEST(testAPullRequestHasNoSecretsAndNeverDeploys);
    CPPUNIT_TEST(testADeliveryThatCannotBeTakenNowMayComeAgain);
    CPPUNIT_TEST(testWhatIsNoDeliveryIsRefused);
    CPPUNIT_TEST(testMistakesOfAServiceAreToldWithTheirPlace);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.set("hooks.secret", "HOOKS");
        _daemon.writeSecret("HOOKS", secret + "\n");
    }

    void testAPushOfEachForgeBecomesARun()
    {
        _daemon.writeService("payment", paid());
        _daemon.start();
        const std::string body = pushJson({});
        const std::string gitlab = gitlabPushJson({});
        const std::vector<std::pair<std::string, Answer>> answers{
            {"github", github("push", "1", body)},
            {"gitea", deliver("gitea", giteaHeaders("push", "1", body, secret), body)},
            {"gitlab", deliver("gitlab", gitlabHeaders("Push Hook", "1", secret), gitlab)}};
        for (const auto& [forge, answer] : answers)
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(forge + answer.body, 201, answer.status);
            const std::string id = answer.json()["runIds"][0].GetString();
            const auto run = as(admin(), "GET", "/api/runs/" + id).json();
            CPPUNIT_ASSERT_EQUAL(std::string("MAIN"), std::string(run["triggerType"].GetString()));
            CPPUNIT_ASSERT_EQUAL(hookCommit, std::string(run["commitHash"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("main"), std::string(run["branch"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("payment"),
                                 std::string(run["serviceName"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("Fix all the bugs"),
                                 std::string(run["commitMessage"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("Ada <ada@example.org>"),
                                 std::string(run["committer"].GetString()));
            const auto history = as(admin(), "GET", "/api/runs/" + id + "/history").json();
            CPPUNIT_ASSERT_EQUAL(forge + ":ada", std::string(history[0]["actor"].GetString()));
        }
        const auto list = deliveries();
        CPPUNIT_ASSERT_EQUAL(3U, list.Size());
        CPPUNIT_ASSERT_EQUAL(std::string("gitlab"), std::string(list[0]["forge"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), std::string(list[0]["ref"].GetString()));
        CPPUNIT_ASSERT(std::string(list[0]["outcome"].GetString()).starts_with("payment: run "));
        const auto shown = agent::test::runProgram(
            {std::string(STAGE_AGENT_BIN_DIR) + "/stagectl", "--agent", _daemon.url(),
             "--token-file", (_daemon.state() / "admin.token").string(), "hooks"},
            _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.err, 0, shown.exitCode);
        CPPUNIT_ASSERT_MESSAGE(shown.out, shown.out.find("payment: run ") != std::string::npos);
    }

    void testWhoeverDoesNotKnowTheSecretIsRefused()
    {
        _daemon.writeService("payment", paid());
        _daemon.start();
        const std::string body = pushJson({});
        auto changed = githubHeaders("push", "2", body, secret);
        const std::vector<std::pair<std::string, HookHeaderMap>> tries{
            {"github", githubHeaders("push", "1", body, "guessed")},
            {"github", {{"x-github-event", "push"}, {"x-github-delivery", "1"}}},
            {"gitea", giteaHeaders("push", "1", body, "guessed")},
            {"gitlab", gitlabHeaders("Push Hook", "1", "guessed")},
            {"gitlab", {{"x-gitlab-event", "Push Hook"}, {"x-gitlab-event-uuid", "1"}}}};
        for (const auto& [forge, headers] : tries)
        {
            const Answer answer =
                deliver(forge, headers, forge == "gitlab" ? gitlabPushJson({}) : body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(forge, 401, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("hook_unproven"), codeOf(answer));
        }
        // The signature of another body; and of a repository that nobody has: the same answer.
        CPPUNIT_ASSERT_EQUAL(401, deliver("github", changed, pushJson({.message = "x"})).status);
        const std::string foreign = pushJson({.repository = "acme/other"});
        CPPUNIT_ASSERT_EQUAL(
            401, deliver("github", githubHeaders("push", "3", foreign, "guessed"), foreign).status);
        CPPUNIT_ASSERT_EQUAL(0U, as(admin(), "GET", "/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(7U, deliveries().Size());
        CPPUNIT_ASSERT(std::string(deliveries()[0]["outcome"].GetString()).starts_with("refused"));
        CPPUNIT_ASSERT(contains(as(admin(), "GET", "/metrics").body,
                                "stage_agent_hook_deliveries_total{result=\"refused\"} 7"));
        CPPUNIT_ASSERT(!contains(_daemon.output(), secret));
        CPPUNIT_ASSERT(!contains(as(admin(), "GET", "/api/hooks/deliveries").body, secret));
        // A secret that is not set, or that others may read, proves nothing.
        std::filesystem::permissions(_daemon.folder() / "secrets/HOOKS",
                                     std::filesystem::perms(0644));
        CPPUNIT_ASSERT_EQUAL(401, github("push", "4", body).status);
        std::filesystem::remove(_daemon.folder() / "secrets/HOOKS");
        CPPUNIT_ASSERT_EQUAL(401, github("push", "5", body).status);
    }

    void testADeliveryThatComesAgainStartsNothing()
    {
        _daemon.writeService("payment", paid());
        _daemon.start();
        const Answer first = github("push", "same", pushJson({}));
        for (int round = 0; round < 2; ++round)
        {
            const Answer again = github("push", "same", pushJson({}));
            CPPUNIT_ASSERT_EQUAL(200, again.status);
            CPPUNIT_ASSERT(first.json()["runIds"] == again.json()["runIds"]);
            _daemon.kill();
            _daemon.start();
        }
        CPPUNIT_ASSERT_EQUAL(1U, as(admin(), "GET", "/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(201, github("push", "other", pushJson({})).status);
    }

    void testADeliveryMayComeAgainAfterACorrection()
    {
        _daemon.writeService("payment", hooked("payment", "push: { branches: [mian] }"));
        _daemon.writeService("lint", hooked("lint", "push: { branches: ['*'] }"));
        _daemon.start();
        const Answer first = github("push", "same", pushJson({}));
        CPPUNIT_ASSERT_EQUAL(201, first.status);
        CPPUNIT_ASSERT(contains(first.body, "payment: no run: "));
        CPPUNIT_ASSERT_EQUAL(200, github("push", "same", pushJson({})).status);
        _daemon.stop();
        _daemon.writeService("payment", paid());
        _daemon.start();
        const Answer second = github("push", "same", pushJson({}));
        CPPUNIT_ASSERT_EQUAL(201, second.status);
        CPPUNIT_ASSERT_EQUAL(2U, second.json()["runIds"].Size());
        CPPUNIT_ASSERT_MESSAGE(second.body, contains(second.body, "payment: run ") &&
                                                contains(second.body, "lint: run ") &&
                                                !contains(second.body, "no run"));
        const Answer third = github("push", "same", pushJson({}));
        CPPUNIT_ASSERT_EQUAL(200, third.status);
        CPPUNIT_ASSERT(second.json()["runIds"] == third.json()["runIds"]);
        CPPUNIT_ASSERT_EQUAL(2U, as(admin(), "GET", "/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(1U, deliveries().Size());
    }

    /// GitHub sends one event under the same id to each webhook of the repository.
    void testTwoWebhooksMayShareADelivery()
    {
        _daemon.writeSecret("PAYMENT_HOOK", "another secret\n");
        _daemon.writeService("payment", paid() + "hook_secret: PAYMENT_HOOK\n");
        _daemon.writeService("lint", hooked("lint", "push: { branches: ['*'] }"));
        _daemon.start();
        const std::string body = pushJson({});
        const auto own = [&]
        { return deliver("github", githubHeaders("push", "1", body, "another secret"), body); };
        CPPUNIT_ASSERT_EQUAL(201, own().status);
        CPPUNIT_ASSERT_EQUAL(201, github("push", "1", body).status);
        CPPUNIT_ASSERT_EQUAL(200, own().status);
        CPPUNIT_ASSERT_EQUAL(200, github("push", "1", body).status);
        CPPUNIT_ASSERT_EQUAL(2U, as(admin(), "GET", "/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(2U, deliveries()[0]["runIds"].Size());
    }

    /// 500 deliveries from eight sides: each of 100 events three times, a hundred with wrong signatures and a hundred of a
    /// repository that no service has.
    void testRacingDeliveriesStartOneRunEach()
    {
        _daemon.set("executor.slots", "1");
        _daemon.writeService("payment", paid());
        _daemon.start();
        std::atomic<int> next = 0;
        std::atomic<int> started = 0;
        std::atomic<int> repeated = 0;
        std::atomic<int> refused = 0;
        std::atomic<int> foreign = 0;
        std::atomic<int> other = 0;
        std::vector<std::thread> forges;
        for (int i = 0; i < 8; ++i)
            forges.emplace_back(
                [&]
                {
                    for (int number = next++; number < 500; number = next++)
                    {
                        const int kind = number % 5;
                        const std::string id = std::to_string(number / 5);
                        const std::string body =
                            pushJson({.repository = kind == 4 ? "acme/other" : "acme/payment"});
                        const auto headers = githubHeaders("push",
                                                           (kind == 3   ? "bad "
                                                            : kind == 4 ? "f "
                                                                        : "") +
                                                               id,
                                                           body, kind == 3 ? "guessed" : secret);
                        const int status = deliver("github", headers, body).status;
                        ++(kind == 3 && status == 401   ? refused
                           : kind == 4 && status == 200 ? foreign
                           : kind < 3 && status == 201  ? started
                           : kind < 3 && status == 200  ? repeated
                                                        : other);
                    }
                });
        for (auto& forge : forges)
            forge.join();
        CPPUNIT_ASSERT_EQUAL(0, other.load());
        CPPUNIT_ASSERT_EQUAL(100, started.load());
        CPPUNIT_ASSERT_EQUAL(200, repeated.load());
        CPPUNIT_ASSERT_EQUAL(100, refused.load());
        CPPUNIT_ASSERT_EQUAL(100, foreign.load());
        CPPUNIT_ASSERT_EQUAL(100U, as(admin(), "GET", "/api/runs?limit=1000").json().Size());
        std::set<std::string> runs;
        const auto all = as(admin(), "GET", "/api/hooks/deliveries?limit=1000").json();
        for (const auto& delivery : all.GetArray())
            for (const auto& run : delivery["runIds"].GetArray())
                runs.insert(run.GetString());
        CPPUNIT_ASSERT_EQUAL(std::size_t(100), runs.size());
    }

    void testSeveralServicesMayHaveOneRepository()
    {
        _daemon.writeService("payment", paid());
        _daemon.writeService("nightly", hooked("nightly", "push: { branches: [nightly] }"));
        _daemon.writeService("lint", hooked("lint", "push: { branches: ['*'] }"));
        _daemon.writeService("other", hooked("other", "push: { branches: ['*'] }",
                                             "https://git.example.org/acme/other.git"));
        _daemon.start();
        const auto answer = github("push", "1", pushJson({})).json();
        CPPUNIT_ASSERT_EQUAL(2U, answer["runIds"].Size());
        const std::string outcome = answer["outcome"].GetString();
        CPPUNIT_ASSERT_MESSAGE(outcome, contains(outcome, "payment: run ") &&
                                            contains(outcome, "lint: run ") &&
                                            contains(outcome, "nightly: no run: branch main") &&
                                            !contains(outcome, "other"));
    }

    void testAServiceMayHaveASecretOfItsOwn()
    {
        _daemon.writeSecret("PAYMENT_HOOK", "another secret\n");
        _daemon.writeService("payment", paid() + "hook_secret: PAYMENT_HOOK\n");
        _daemon.writeService("lint", hooked("lint", "push: { branches: ['*'] }"));
        _daemon.start();
        const std::string body = pushJson({});
        const auto own =
            deliver("github", githubHeaders("push", "1", body, "another secret"), body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(own.body, 201, own.status);
        CPPUNIT_ASSERT(contains(own.body, "payment: run ") && !contains(own.body, "lint"));
        const auto common = github("push", "2", body);
        CPPUNIT_ASSERT_EQUAL(201, common.status);
        CPPUNIT_ASSERT(contains(common.body, "lint: run ") && !contains(common.body, "payment:"));
    }

    void testWhatStartsNoRunSaysWhy()
    {
        _daemon.writeService("payment", paid());
        _daemon.writeService("quiet", hooked("quiet", "", "git@git.example.org:acme/quiet.git"));
        _daemon.start();
        int id = 0;
        for (const auto& [event, body, why] :
             std::vector<std::tuple<std::string, std::string, std::string>>{
                 {"ping", R"({"zen":"x"})", "test of the connection"},
                 {"push", pushJson({.ref = "refs/heads/x"}), "none of on.push.branches"},
                 {"push", pushJson({.ref = "refs/tags/x"}), "none of on.tags"},
                 {"push", pushJson({.message = "[skip ci]"}), "[skip ci]"},
                 {"push", pushJson({.deleted = true}), "deleted"},
                 {"push", pushJson({.repository = "acme/none"}), "no service has this repository"},
                 {"push", pushJson({.repository = "acme/quiet"}), "has no `on`"},
                 {"push", pushJson({.commit = "HEAD"}), "names no commit"},
                 {"push", pushJson({.ref = "refs/heads/--upload-pack=x"}), "can't be built"},
                 {"pull_request", pullRequestJson({.headRepository = "mallory/payment"}),
                  "forks run nothing"},
                 {"pull_request", pullRequestJson({.draft = true}), "draft"},
                 {"pull_request", pullRequestJson({.action = "closed"}), "closed"}})
        {
            const Answer answer = github(event, std::to_string(++id), body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(why + answer.body, 200, answer.status);
            CPPUNIT_ASSERT_MESSAGE(why + answer.body, contains(answer.body, why));
        }
        CPPUNIT_ASSERT_EQUAL(0U, as(admin(), "GET", "/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(12U, deliveries().Size());
    }

    void testAPullRequestHasNoSecretsAndNeverDeploys()
    {
        if (!agent::test::canSandbox())
            return;
        _daemon.writeSecret("DEPLOY_KEY", "s3cret-value-of-the-test\n");
        const std::string rest =
            "repository: https://git.example.org/acme/payment.git\nsecrets: [DEPLOY_KEY]\n"
            "on: { pull_request: true, push: { branches: [main] } }\nstages:\n"
            "  - { type: BUILD, plugin: shell, with: { command: 'test -z \"${DEPLOY_KEY:-}\"' } }\n"
            "  - { type: DEPLOY_STAGING, plugin: shell, with: { command: 'true' } }\n"
            "  - { type: DEPLOY_PROD, plugin: shell, with: { command: 'true' } }\n";
        _daemon.writeService("payment", "name: payment\n" + rest);
        _daemon.start();
        for (const auto& [action, trigger] : std::vector<std::pair<std::string, std::string>>{
                 {"opened", "PR_OPEN"}, {"synchronize", "PR_SYNC"}})
        {
            const auto answer = github("pull_request", action, pullRequestJson({.action = action}));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
            const std::string id = answer.json()["runIds"][0].GetString();
            _daemon.waitForRun(id, "SUCCESS");
            const auto run = _daemon.get("/api/runs/" + id).json();
            CPPUNIT_ASSERT_EQUAL(trigger, std::string(run["triggerType"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::int64_t(2), run["pullNumber"].GetInt64());
            const auto stages = _daemon.stagesOf(id);
            CPPUNIT_ASSERT_EQUAL(std::size_t(1), stages.size());
            CPPUNIT_ASSERT_EQUAL(std::string("sandbox"),
                                 _daemon.detail(stages.front(), "isolation"));
        }
        // Of a push the same service has all.
        const auto push = github("push", "push", pushJson({}));
        const std::string id = push.json()["runIds"][0].GetString();
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), _daemon.stagesOf(id).size());
        _daemon.waitForRun(id, "FAILURE");
        // The service may say otherwise of secrets, not of deployments.
        _daemon.writeService("payment", "name: payment\nsecrets_for_pull_requests: true\n" + rest);
        _daemon.stop();
        _daemon.start();
        const std::string with =
            github("pull_request", "with", pullRequestJson({})).json()["runIds"][0].GetString();
        _daemon.waitForRun(with, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _daemon.stagesOf(with).size());
    }

    void testADeliveryThatCannotBeTakenNowMayComeAgain()
    {
        _daemon.writeService("payment", paid());
        _daemon.start();
        as(admin(), "POST", "/api/agent/drain");
        const Answer refused = github("push", "1", pushJson({}));
        CPPUNIT_ASSERT_EQUAL(503, refused.status);
        CPPUNIT_ASSERT(refused.headers.contains("retry-after"));
        CPPUNIT_ASSERT(contains(as(admin(), "GET", "/api/hooks/deliveries").body, "draining"));
        as(admin(), "POST", "/api/agent/resume");
        CPPUNIT_ASSERT_EQUAL(201, github("push", "1", pushJson({})).status);
    }

    void testWhatIsNoDeliveryIsRefused()
    {
        _daemon.writeService("payment", paid());
        _daemon.start();
        const std::string body = pushJson({});
        CPPUNIT_ASSERT_EQUAL(400, deliver("github", {}, body).status);
        CPPUNIT_ASSERT_EQUAL(400, github("push", "1", "").status);
        CPPUNIT_ASSERT_EQUAL(400, github("push", "1", "{").status);
        CPPUNIT_ASSERT_EQUAL(404, deliver("bitbucket", {}, body).status);
        CPPUNIT_ASSERT_EQUAL(405, as("", "GET", "/hooks/github").status);
        CPPUNIT_ASSERT_EQUAL(413, github("push", "1", std::string((1U << 20U) + 1, ' ')).status);
        auto form = githubHeaders("push", "1", "payload=x", secret);
        form["Content-Type"] = "application/x-www-form-urlencoded";
        CPPUNIT_ASSERT_EQUAL(415, deliver("github", form, "payload=x").status);
        CPPUNIT_ASSERT_EQUAL(401, as("", "GET", "/api/hooks/deliveries").status);
        CPPUNIT_ASSERT_EQUAL(400, as(admin(), "GET", "/api/hooks/deliveries?limit=x").status);
    }

    void testMistakesOfAServiceAreToldWithTheirPlace()
    {
        const std::string head = service("a") + "repository: https://git.example.org/a\n";
        for (const auto& [text, key] : std::vector<std::pair<std::string, std::string>>{
                 {service("a") + "on: { push: { branches: [main] } }\n", "on: needs the key"},
                 {head + "on: { push: true }\n", "on.push"},
                 {head + "on: { push: { branches: [] } }\n", "on.push.branches"},
                 {head + "on: { pull_request: { base: main } }\n", "on.pull_request"},
                 {head + "on: { pushes: {} }\n", "on.pushes"},
                 {head + "on: { tags: v1 }\n", "on.tags"},
                 {head + "hook_secret: ../x\n", "hook_secret"},
                 {head + "secrets_for_pull_requests: sometimes\n", "secrets_for_pull_requests"}})
        {
            _daemon.writeService("a", text);
            std::string output;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 78, _daemon.runToEnd({"--check"}, output));
            CPPUNIT_ASSERT_MESSAGE(text + output,
                                   contains(output, "a.yaml:") && contains(output, key));
        }
    }

private:
    static inline const std::string secret = "correct horse battery staple";

    static bool contains(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    /// A service with these rules; empty: none.
    static std::string
    hooked(const std::string& name, const std::string& on,
           const std::string& repository = "https://git.example.org/acme/payment.git")
    {
        return service(name) + "repository: " + repository + "\n" +
               (on.empty() ? "" : "on: { " + on + " }\n");
    }

    static std::string paid()
    {
        return hooked("payment", "push: { branches: [main] }, tags: ['v*'], pull_request: true");
    }

    Answer deliver(const std::string& forge, HookHeaderMap headers, const std::string& body) const
    {
        headers["Authorization"] = "";
        return _daemon.request("POST", "/hooks/" + forge, body, headers);
    }

    Answer github(const std::string& event, const std::string& id, const std::string& body) const
    {
        return deliver("github", githubHeaders(event, id, body, secret), body);
    }

    rapidjson::Document deliveries() const
    {
        return as(admin(), "GET", "/api/hooks/deliveries").json();
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HooksTest);
