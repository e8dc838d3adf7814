#include "agent/run/IsolationPolicy.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

namespace
{

std::string first(const std::vector<Problem>& problems)
{
    return problems.empty() ? "" : problems.front().describe();
}

} // namespace

class IsolationPolicyTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(IsolationPolicyTest);
    CPPUNIT_TEST(testNoneIsForServicesThatAreNamed);
    CPPUNIT_TEST(testAnInlinePipelineNeverGetsNone);
    CPPUNIT_TEST(testAPullRequestIsAlwaysSandboxedOrRefused);
    CPPUNIT_TEST(testOnlyListedPathsAreBound);
    CPPUNIT_TEST(testOnlyASandboxIsWithoutNetwork);
    CPPUNIT_TEST(testPathsOfBindsAreInTheirShortestForm);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNoneIsForServicesThatAreNamed()
    {
        policy.noneAllowed = {"docker-*", "kvm"};
        pipeline.isolation = Isolation::None;
        for (const char* allowed : {"docker-build", "docker-", "kvm"})
            CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, allowed)));
        for (const char* refused : {"docker", "kvm2", "mydocker-x", "Kvm"})
            CPPUNIT_ASSERT_EQUAL("isolation: the agent's configuration does not name '" +
                                     std::string(refused) + "' in isolation.none_allowed",
                                 first(policy.check(pipeline, refused)));
        policy.noneAllowed = {"*"};
        CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, "any")));
        CPPUNIT_ASSERT(policy.of(pipeline, TriggerType::Main) == Isolation::None);
        pipeline.isolation.reset();
        CPPUNIT_ASSERT(policy.of(pipeline, TriggerType::Main) == Isolation::Sandbox);
    }

    void testAnInlinePipelineNeverGetsNone()
    {
        policy.noneAllowed = {"*"};
        pipeline.isolation = Isolation::None;
        CPPUNIT_ASSERT(first(policy.check(pipeline, "")).starts_with("isolation: an inline "));
        policy.byDefault = Isolation::None; // then it has it anyway
        CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, "")));
    }

    void testAPullRequestIsAlwaysSandboxedOrRefused()
    {
        policy.byDefault = Isolation::None;
        pipeline.isolation = Isolation::None;
        for (const TriggerType trigger : {TriggerType::PrOpen, TriggerType::PrSync})
        {
            CPPUNIT_ASSERT(policy.of(pipeline, trigger) == Isolation::Sandbox);
            CPPUNIT_ASSERT_EQUAL(std::string(), policy.pullRequestProblem(trigger));
        }
        policy.hostLacks = "no bubblewrap";
        CPPUNIT_ASSERT_EQUAL(std::string("a pull request is only executed in a sandbox, and this "
                                         "host can't make one: no bubblewrap"),
                             policy.pullRequestProblem(TriggerType::PrSync));
        CPPUNIT_ASSERT_EQUAL(std::string(), policy.pullRequestProblem(TriggerType::Manual));
    }

    void testOnlyListedPathsAreBound()
    {
        policy.bindable = {{.path = "/dev/kvm"}, {.path = "/cache", .writable = true}};
        pipeline.binds = {{.path = "/cache"}, {.path = "/cache", .writable = true}};
        CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, "a")));
        pipeline.binds = {{.path = "/cache"}, {.path = "/cache/below"}};
        CPPUNIT_ASSERT_EQUAL(std::string("binds[1]: '/cache/below' is not among isolation.binds "
                                         "of the agent's configuration"),
                             first(policy.check(pipeline, "a")));
        pipeline.binds = {{.path = "/dev/kvm", .writable = true}};
        CPPUNIT_ASSERT_EQUAL(std::string("binds[0]: isolation.binds of the agent's configuration "
                                         "has '/dev/kvm' read-only: without :rw here, or with it "
                                         "there"),
                             first(policy.check(pipeline, "a")));
    }

    void testOnlyASandboxIsWithoutNetwork()
    {
        pipeline.network = Network::None;
        CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, "a")));
        policy.byDefault = Isolation::None;
        CPPUNIT_ASSERT(first(policy.check(pipeline, "a")).starts_with("network: only a sandbox"));
        pipeline.isolation = Isolation::Sandbox;
        CPPUNIT_ASSERT_EQUAL(std::string(), first(policy.check(pipeline, "a")));
    }

    void testPathsOfBindsAreInTheirShortestForm()
    {
        for (const char* right : {"/a", "/a/b.c", "/a:b", "/dev/kvm", "/a b"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(right, std::string(right),
                                         bindFrom(right).value_or(Bind()).path);
        for (const char* wrong :
             {"", "a", "/", "//a", "/a/", "/a/../b", "/a/.", "/a//b", "~", ":rw", "/:rw", "a:rw"})
            CPPUNIT_ASSERT_MESSAGE(wrong, !bindFrom(wrong));
        const auto bind = bindFrom("/a:rw");
        CPPUNIT_ASSERT(bind && bind->writable);
        CPPUNIT_ASSERT_EQUAL(std::string("/a"), bind->path);
        CPPUNIT_ASSERT_EQUAL(std::string("/a:rw"), toString(*bind));
    }

private:
    IsolationPolicy policy{.byDefault = Isolation::Sandbox};
    PipelineSpec pipeline;
};

CPPUNIT_TEST_SUITE_REGISTRATION(IsolationPolicyTest);

} // namespace agent
