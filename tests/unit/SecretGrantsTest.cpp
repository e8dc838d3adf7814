#include "agent/run/SecretGrants.h"

#include "agent/model/Declined.h"
#include "agent/run/RunPipeline.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// Which stage of which run gets a secret: docs/secrets.md.
class SecretGrantsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SecretGrantsTest);
    CPPUNIT_TEST(testASecretGoesToTheStagesThatNameIt);
    CPPUNIT_TEST(testAGrantNarrowsByTypeAndBranch);
    CPPUNIT_TEST(testTheBranchOfTheServiceCountsWhereTheRunNamesNone);
    CPPUNIT_TEST(testABranchIsToBeProvedWhereASecretDependsOnIt);
    CPPUNIT_TEST(testAPullRequestHasNoSecrets);
    CPPUNIT_TEST(testAForkHasNothing);
    CPPUNIT_TEST(testAForkIsRefusedUnlessItIsAllowed);
    CPPUNIT_TEST(testAFileOfTheRepositoryMayNameWhatIsGranted);
    CPPUNIT_TEST_SUITE_END();

public:
    void testASecretGoesToTheStagesThatNameIt()
    {
        const PipelineSpec spec = service().pipeline;
        CPPUNIT_ASSERT_EQUAL(std::string("ALL"), given(spec, 0, "feature/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("ALL OWN"), given(spec, 1, "feature/x"));
    }

    void testAGrantNarrowsByTypeAndBranch()
    {
        const PipelineSpec spec = service().pipeline;
        CPPUNIT_ASSERT_EQUAL(std::string("ALL DEPLOY"), given(spec, 2, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("ALL DEPLOY"), given(spec, 2, "release/1"));
        for (const char* other : {"feature/x", "Main", "main2", "xmain", "pull/7", "release", ""})
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(other, std::string("ALL"), given(spec, 2, other));
            const Run run{.branch = other};
            CPPUNIT_ASSERT(secretsFor(spec, spec.stages[2], run).withheld.contains("DEPLOY"));
        }
        PipelineSpec all = spec;
        all.secrets.push_back("DEPLOY"); // of the service: its grant counts all the same
        all.stages[2].secrets.clear();
        CPPUNIT_ASSERT_EQUAL(std::string("ALL"), given(all, 0, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("ALL DEPLOY"), given(all, 2, "main"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("grants does not give it to stages of the type BUILD"),
            secretsFor(all, all.stages[0], Run{.branch = "main"}).withheld.at("DEPLOY"));
    }

    void testTheBranchOfTheServiceCountsWhereTheRunNamesNone()
    {
        PipelineSpec spec = service().pipeline;
        CPPUNIT_ASSERT_EQUAL(std::string("grants gives it to branches, and the run names none"),
                             secretsFor(spec, spec.stages[2], Run{}).withheld.at("DEPLOY"));
        spec.branch = "main";
        CPPUNIT_ASSERT_EQUAL(std::string("ALL DEPLOY"), given(spec, 2, ""));
        CPPUNIT_ASSERT_EQUAL(std::string("ALL"), given(spec, 2, "feature/x"));
    }

    void testABranchIsToBeProvedWhereASecretDependsOnIt()
    {
        PipelineSpec spec = service().pipeline;
        const auto toProve = [&](const std::string& commit, const std::string& branch)
        { return branchToProve(spec, Run{.commitHash = commit, .branch = branch}); };
        CPPUNIT_ASSERT_EQUAL(std::string("main"), toProve("0123abc", "main"));
        CPPUNIT_ASSERT_EQUAL(std::string(), toProve("0123abc", "feature/x")); // it gets none anyway
        CPPUNIT_ASSERT_EQUAL(std::string(), toProve("", "main")); // git takes it from there
        spec.branch = "main";
        CPPUNIT_ASSERT_EQUAL(std::string("main"), toProve("0123abc", ""));
        PipelineSpec unread =
            spec; // its stages stand in the repository, and may name what is granted
        unread.stages.resize(1);
        unread.file = PipelineFile{.path = ".stage-agent.yaml"};
        CPPUNIT_ASSERT_EQUAL(std::string("main"),
                             branchToProve(unread, Run{.commitHash = "0123abc", .branch = "main"}));
        spec.grants.at("DEPLOY").branches.clear();
        CPPUNIT_ASSERT_EQUAL(std::string(), toProve("0123abc", "main"));
    }

    void testAPullRequestHasNoSecrets()
    {
        Service declared = service();
        for (const auto trigger : {TriggerType::PrOpen, TriggerType::PrSync})
        {
            const PipelineSpec without = pipelineFor(declared, trigger);
            for (std::size_t i = 0; i < without.stages.size(); ++i)
                CPPUNIT_ASSERT_EQUAL(std::string(), given(without, i, "main"));
            CPPUNIT_ASSERT_EQUAL(std::string("a pull request's run has none"),
                                 secretsFor(without, without.stages[0], Run{}).withheld.at("ALL"));
            CPPUNIT_ASSERT((masksOf(without) == std::vector<std::string>{"READ"})); // git's
            declared.secretsForPullRequests = true;
            CPPUNIT_ASSERT(pipelineFor(declared, trigger) == declared.pipeline);
            declared.secretsForPullRequests = false;
        }
        for (const auto trigger : {TriggerType::Main, TriggerType::Manual})
            CPPUNIT_ASSERT(pipelineFor(declared, trigger) == declared.pipeline);
    }

    void testAForkHasNothing()
    {
        Service declared = service();
        declared.secretsForPullRequests = true;
        declared.pipeline.branch = "main";
        const PipelineSpec spec = pipelineFor(declared, TriggerType::PrOpen, Fork{});
        CPPUNIT_ASSERT_EQUAL(std::string("main"), spec.fork->base);
        CPPUNIT_ASSERT_EQUAL(
            std::string("release/1"),
            pipelineFor(declared, TriggerType::PrOpen, Fork{.base = "release/1"}).fork->base);
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), spec.stages.size()); // no deployment
        CPPUNIT_ASSERT(spec.binds.empty());
        for (std::size_t i = 0; i < spec.stages.size(); ++i)
            CPPUNIT_ASSERT_EQUAL(std::string(), given(spec, i, "main"));
        CPPUNIT_ASSERT((masksOf(spec) == std::vector<std::string>{"READ"}));
        PipelineSpec forged = spec; // whatever a record holds
        forged.secrets = {"ALL"};
        CPPUNIT_ASSERT_EQUAL(std::string(), given(forged, 0, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("pull/7"), branchOfFork(7));
    }

    void testAForkIsRefusedUnlessItIsAllowed()
    {
        Service declared = service();
        CPPUNIT_ASSERT_THROW(pipelineFor(declared, TriggerType::Main, Fork{}), Declined);
        CPPUNIT_ASSERT_THROW(pipelineFor(declared, TriggerType::Manual, Fork{}), Declined);
        Service only = declared;
        only.pipeline.stages.erase(only.pipeline.stages.begin(), only.pipeline.stages.begin() + 2);
        CPPUNIT_ASSERT_THROW(pipelineFor(only, TriggerType::PrOpen, Fork{}), Declined);
        declared.forksAllowed = false;
        CPPUNIT_ASSERT_THROW(pipelineFor(declared, TriggerType::PrOpen, Fork{}), Declined);
    }

    void testAFileOfTheRepositoryMayNameWhatIsGranted()
    {
        const PipelineSpec spec = service().pipeline;
        CPPUNIT_ASSERT_EQUAL(std::string(), grantProblem(spec, "DEPLOY", StageType::DeployProd));
        CPPUNIT_ASSERT_EQUAL(
            std::string("is granted to stages of the types DEPLOY_STAGING, DEPLOY_PROD only"),
            grantProblem(spec, "DEPLOY", StageType::Other));
        for (const char* other : {"OWN", "READ", "HOOKS"})
            CPPUNIT_ASSERT_EQUAL(std::string("is none that the service's grants give to this file"),
                                 grantProblem(spec, other, StageType::DeployProd));
    }

private:
    static Service service()
    {
        Service service{.name = "a", .forksAllowed = true};
        PipelineSpec& spec = service.pipeline;
        spec.secrets = {"ALL"};
        spec.grants["DEPLOY"] = {.types = {StageType::DeployStaging, StageType::DeployProd},
                                 .branches = {"main", "release/*"}};
        spec.git = {.token = "READ", .user = "git"};
        spec.binds = {{.path = "/var/cache/ccache", .writable = true}};
        spec.stages = {{.type = StageType::Build, .plugin = "shell"},
                       {.type = StageType::Other, .plugin = "shell", .secrets = {"OWN"}},
                       {.type = StageType::DeployProd, .plugin = "shell", .secrets = {"DEPLOY"}}};
        return service;
    }

    static std::string given(const PipelineSpec& spec, std::size_t stage, const std::string& branch)
    {
        std::string names;
        for (const auto& name :
             secretsFor(spec, spec.stages.at(stage), Run{.branch = branch}).given)
            names += (names.empty() ? "" : " ") + name;
        return names;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretGrantsTest);

} // namespace agent
