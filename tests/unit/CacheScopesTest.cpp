// Which caches a run may read and write.
#include "agent/run/CacheScopes.h"
#include "agent/run/OrderBuilder.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace agent;

namespace
{

std::string names(const std::vector<CacheScope>& scopes)
{
    std::string all;
    for (const CacheScope& scope : scopes)
        all += (all.empty() ? "" : ",") + scope.name;
    return all;
}

PipelineSpec pipelineOf(const std::string& branch)
{
    PipelineSpec pipeline{.repository = "https://git.example.org/a.git", .branch = branch};
    pipeline.stages.push_back({.type = StageType::Prepare, .plugin = "git"});
    pipeline.stages.push_back({.plugin = "shell", .caches = {{.key = "k", .paths = {"p"}}}});
    return pipeline;
}

Run runOf(const std::string& branch, TriggerType trigger = TriggerType::Main)
{
    return {.commitHash = "c",
            .trigger = trigger,
            .serviceId = "7a0c35b1-6bd4-4be9-9a3c-3a2d0a7d5b10",
            .branch = branch};
}

std::vector<Stage> checkedOut(const std::string& branch)
{
    Stage git{.plugin = "git", .status = Status::Success, .cause = Cause::Exit};
    git.outputs = outputsToJson({{"branch", branch}});
    return {git};
}

} // namespace

class CacheScopesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CacheScopesTest);
    CPPUNIT_TEST(testTheServicesBranchHasItsOwn);
    CPPUNIT_TEST(testAnotherBranchReadsThoseToo);
    CPPUNIT_TEST(testWithoutProofNothingIsWritten);
    CPPUNIT_TEST(testAPullRequestHasItsOwn);
    CPPUNIT_TEST(testAForkWritesNone);
    CPPUNIT_TEST(testABranchIsProvedOnlyOfTheService);
    CPPUNIT_TEST(testServicesDoNotMeet);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheServicesBranchHasItsOwn()
    {
        const auto rights = cacheRightsOf(runOf("main"), pipelineOf("main"), checkedOut("main"));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), rights.writes->name);
        CPPUNIT_ASSERT_EQUAL(std::string("main"), names(rights.reads));
    }

    void testAnotherBranchReadsThoseToo()
    {
        const auto rights =
            cacheRightsOf(runOf("feature"), pipelineOf("main"), checkedOut("feature"));
        CPPUNIT_ASSERT_EQUAL(std::string("feature"), rights.writes->name);
        CPPUNIT_ASSERT_EQUAL(std::string("feature,main"), names(rights.reads));
    }

    void testWithoutProofNothingIsWritten()
    {
        const PipelineSpec pipeline = pipelineOf("main");
        const auto check = [&](const char* what, const PipelineSpec& of, std::vector<Stage> stages)
        {
            const auto rights = cacheRightsOf(runOf("main"), of, stages);
            CPPUNIT_ASSERT_MESSAGE(what, !rights.writes);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("main"), names(rights.reads));
        };
        check("nothing was checked out", pipeline, {});
        check("another branch", pipeline, checkedOut("feature"));
        auto stages = checkedOut("main");
        stages[0].plugin = "shell";
        check("a stage that says so", pipeline, stages);
        stages = checkedOut("main");
        stages[0].status = Status::Failure;
        check("a checkout that failed", pipeline, stages);
        stages = checkedOut("main");
        stages[0].cause = Cause::Operator;
        check("one that was accepted", pipeline, stages);
        for (const char* setting : {"ref", "repository"})
        {
            PipelineSpec other = pipeline;
            other.stages[0].with[setting] = {.text = "x"};
            check(setting, other, checkedOut("main"));
        }
        PipelineSpec without = pipeline;
        without.repository.clear();
        CPPUNIT_ASSERT(cacheRightsOf(runOf("main"), without, {}).writes);
    }

    void testAPullRequestHasItsOwn()
    {
        Run run = runOf("main", TriggerType::PrOpen); // it may call its branch so
        CPPUNIT_ASSERT(!cacheRightsOf(run, pipelineOf("main"), checkedOut("main")).writes);
        run.pullNumber = 7;
        const auto rights = cacheRightsOf(run, pipelineOf("main"), checkedOut("main"));
        CPPUNIT_ASSERT_EQUAL(std::string("pull/7"), rights.writes->name);
        CPPUNIT_ASSERT_EQUAL(std::string("pull/7,main"), names(rights.reads));
        // A branch of this name is another scope.
        const auto branch =
            cacheRightsOf(runOf("pull/7"), pipelineOf("main"), checkedOut("pull/7"));
        CPPUNIT_ASSERT(branch.writes->folder != rights.writes->folder);
    }

    void testAForkWritesNone()
    {
        PipelineSpec pipeline = pipelineOf("main");
        pipeline.fork = Fork{.base = "release"};
        Run run = runOf("pull/7", TriggerType::PrSync);
        run.pullNumber = 7;
        const auto rights = cacheRightsOf(run, pipeline, checkedOut("pull/7"));
        CPPUNIT_ASSERT(!rights.writes);
        CPPUNIT_ASSERT_EQUAL(std::string("release"), names(rights.reads));
    }

    void testABranchIsProvedOnlyOfTheService()
    {
        const PipelineSpec pipeline = pipelineOf("main");
        const auto proved = [&](const Run& run, const PipelineSpec& of, const std::string& told)
        { return provedBranchOf(run, of, checkedOut(told)).value_or("none"); };
        CPPUNIT_ASSERT_EQUAL(std::string("main"), proved(runOf("main"), pipeline, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), proved(runOf(""), pipeline, "main"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), proved(runOf("main"), pipeline, "feature"));
        for (const TriggerType trigger : {TriggerType::PrOpen, TriggerType::PrSync})
            CPPUNIT_ASSERT_EQUAL(std::string("none"),
                                 proved(runOf("main", trigger), pipeline, "main"));
        PipelineSpec fork = pipeline;
        fork.fork = Fork{.base = "main"};
        CPPUNIT_ASSERT_EQUAL(std::string("none"), proved(runOf("main"), fork, "main"));
        Run inlined = runOf("main");
        inlined.serviceId.clear();
        CPPUNIT_ASSERT_EQUAL(std::string("none"), proved(inlined, pipeline, "main"));
        // The git plugin is asked where artifacts are kept, too.
        PipelineSpec keeps = pipeline;
        keeps.stages[1].caches.clear();
        CPPUNIT_ASSERT_EQUAL(std::string(), branchToTell(keeps, runOf("main")));
        keeps.stages[1].artifacts.paths = {"dist"};
        CPPUNIT_ASSERT_EQUAL(std::string("main"), branchToTell(keeps, runOf("main")));
    }

    void testServicesDoNotMeet()
    {
        Run other = runOf("main");
        other.serviceId = "0b0c35b1-6bd4-4be9-9a3c-3a2d0a7d5b10";
        const auto a = cacheRightsOf(runOf("main"), pipelineOf("main"), {});
        const auto b = cacheRightsOf(other, pipelineOf("main"), {});
        CPPUNIT_ASSERT(a.service != b.service);
        other.serviceId.clear();
        CPPUNIT_ASSERT(cacheRightsOf(other, pipelineOf("main"), {}).service.empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CacheScopesTest);
