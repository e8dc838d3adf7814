#include "agent/run/Queue.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

namespace
{

using Ids = std::vector<std::string>;

/// The runs that have not ended, in the order in which they came.
class OpenRuns
{
public:
    /// A run that has not begun.
    OpenRuns& queued(const std::string& id, const std::string& service = "",
                     std::int64_t priority = 0)
    {
        return add({.id = id, .serviceName = service, .priority = priority, .wantsSlot = true});
    }

    /// One that someone tried again by hand.
    OpenRuns& resumed(const std::string& id, const std::string& service = "",
                      std::int64_t priority = 0)
    {
        return add({.id = id,
                    .serviceName = service,
                    .priority = priority,
                    .resumed = true,
                    .wantsSlot = true});
    }

    /// One with a stage at work.
    OpenRuns& running(const std::string& id, const std::string& service = "")
    {
        return add(
            {.id = id, .status = Status::InProgress, .serviceName = service, .holdsSlot = true});
    }

    /// One that gave its slot away and needs one for its next stage, as after an approval.
    OpenRuns& goingOn(const std::string& id, const std::string& service = "",
                      std::int64_t priority = 0)
    {
        return add({.id = id,
                    .status = Status::InProgress,
                    .serviceName = service,
                    .priority = priority,
                    .wantsSlot = true});
    }

    /// One that waits for a person (AwaitingApproval) or an outside party (InProgress).
    OpenRuns& waiting(const std::string& id, const std::string& service, Status status)
    {
        return add({.id = id, .status = status, .serviceName = service});
    }

    [[nodiscard]] std::vector<Run> reversed() const { return {_runs.rbegin(), _runs.rend()}; }
    [[nodiscard]] const std::vector<Run>& all() const { return _runs; }

private:
    OpenRuns& add(Run run)
    {
        run.seq = static_cast<std::int64_t>(_runs.size()) + 1;
        _runs.push_back(std::move(run));
        return *this;
    }

    std::vector<Run> _runs;
};

Queue queueOf(int slots, int concurrency = 1)
{
    return {.slots = slots, .concurrency = [=](const std::string&) { return concurrency; }};
}

void assertIds(const Ids& expected, const Ids& actual)
{
    const auto join = [](const Ids& ids)
    {
        std::string text;
        for (const auto& id : ids)
            text += id + ' ';
        return text;
    };
    CPPUNIT_ASSERT_EQUAL(join(expected), join(actual));
}

} // namespace

class QueueTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(QueueTest);
    CPPUNIT_TEST(testNothingWaitsNothingIsChosen);
    CPPUNIT_TEST(testFirstComeFirstServed);
    CPPUNIT_TEST(testAgeDecidesNotThePlaceInTheList);
    CPPUNIT_TEST(testHigherPriorityGoesFirst);
    CPPUNIT_TEST(testTriedAgainByHandGoesBeforePriority);
    CPPUNIT_TEST(testAmongThoseTriedAgainPriorityThenAgeDecide);
    CPPUNIT_TEST(testHeldSlotsCount);
    CPPUNIT_TEST(testMoreHeldThanThereAreChoosesNone);
    CPPUNIT_TEST(testAServiceRunsAsManyAsItsConcurrency);
    CPPUNIT_TEST(testThoseChosenCountForTheirService);
    CPPUNIT_TEST(testAFullServiceHoldsNobodyElseUp);
    CPPUNIT_TEST(testInlinePipelinesHaveNoConcurrency);
    CPPUNIT_TEST(testEachServiceHasItsOwnConcurrency);
    CPPUNIT_TEST(testWaitingForApprovalKeepsThePlaceButNoSlot);
    CPPUNIT_TEST(testAnOutsidePartyKeepsThePlaceButNoSlot);
    CPPUNIT_TEST(testARunThatGoesOnIsNotCountedTwice);
    CPPUNIT_TEST(testARunThatGoesOnNeedsASlot);
    CPPUNIT_TEST(testTriedAgainStillNeedsItsServicesPlace);
    CPPUNIT_TEST(testDrainingBeginsNoneButLetsBegunOnesGoOn);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingWaitsNothingIsChosen()
    {
        assertIds({}, queueOf(3).next({}));
        assertIds({}, queueOf(3).next(OpenRuns().running("a").all()));
    }

    void testFirstComeFirstServed()
    {
        const auto open = OpenRuns().queued("a").queued("b").queued("c").all();
        assertIds({"a", "b"}, queueOf(2).next(open));
        assertIds({"a", "b", "c"}, queueOf(9).next(open));
    }

    void testAgeDecidesNotThePlaceInTheList()
    {
        assertIds({"a", "b"},
                  queueOf(2).next(OpenRuns().queued("a").queued("b").queued("c").reversed()));
    }

    void testHigherPriorityGoesFirst()
    {
        const auto open = OpenRuns()
                              .queued("low", "", -5)
                              .queued("a")
                              .queued("high", "", 7)
                              .queued("b")
                              .queued("higher", "", 8)
                              .all();
        assertIds({"higher", "high", "a", "b", "low"}, queueOf(5).next(open));
    }

    void testTriedAgainByHandGoesBeforePriority()
    {
        assertIds(
            {"again"},
            queueOf(1).next(OpenRuns().queued("high", "", 100).queued("a").resumed("again").all()));
    }

    void testAmongThoseTriedAgainPriorityThenAgeDecide()
    {
        const auto open = OpenRuns().resumed("a").resumed("b").resumed("high", "", 1).all();
        assertIds({"high", "a", "b"}, queueOf(3).next(open));
    }

    void testHeldSlotsCount()
    {
        const auto open = OpenRuns().running("x").running("y").queued("a").queued("b").all();
        assertIds({}, queueOf(2).next(open));
        assertIds({"a"}, queueOf(3).next(open));
    }

    /// After a restart with a smaller executor.slots.
    void testMoreHeldThanThereAreChoosesNone()
    {
        const auto open = OpenRuns().running("x").running("y").running("z").queued("a").all();
        assertIds({}, queueOf(1).next(open));
    }

    void testAServiceRunsAsManyAsItsConcurrency()
    {
        const auto open = OpenRuns().running("x", "shop").queued("a", "shop").all();
        assertIds({}, queueOf(9, 1).next(open));
        assertIds({"a"}, queueOf(9, 2).next(open));
    }

    void testThoseChosenCountForTheirService()
    {
        const auto open =
            OpenRuns().queued("a", "shop").queued("b", "shop").queued("c", "shop").all();
        assertIds({"a"}, queueOf(9, 1).next(open));
        assertIds({"a", "b"}, queueOf(9, 2).next(open));
    }

    void testAFullServiceHoldsNobodyElseUp()
    {
        const auto open = OpenRuns()
                              .running("x", "shop")
                              .queued("a", "shop", 50)
                              .queued("b", "shop")
                              .queued("c", "blog")
                              .queued("d")
                              .all();
        assertIds({"c", "d"}, queueOf(3, 1).next(open));
        assertIds({"c"}, queueOf(2, 1).next(open));
    }

    void testInlinePipelinesHaveNoConcurrency()
    {
        Queue queue{.slots = 3};
        queue.concurrency = [](const std::string& service)
        {
            CPPUNIT_ASSERT_MESSAGE("asked for no service's concurrency", !service.empty());
            return 1;
        };
        assertIds({"a", "b"}, queue.next(OpenRuns().running("x").queued("a").queued("b").all()));
    }

    void testEachServiceHasItsOwnConcurrency()
    {
        Queue queue{.slots = 9};
        queue.concurrency = [](const std::string& service) { return service == "shop" ? 2 : 1; };
        const auto open = OpenRuns()
                              .queued("a", "blog")
                              .queued("b", "blog")
                              .queued("c", "shop")
                              .queued("d", "shop")
                              .queued("e", "shop")
                              .all();
        assertIds({"a", "c", "d"}, queue.next(open));
    }

    void testWaitingForApprovalKeepsThePlaceButNoSlot()
    {
        const auto open = OpenRuns()
                              .waiting("w", "shop", Status::AwaitingApproval)
                              .queued("a", "shop")
                              .queued("b", "blog")
                              .all();
        assertIds({"b"}, queueOf(1, 1).next(open));
        assertIds({"a"}, queueOf(1, 2).next(open));
    }

    void testAnOutsidePartyKeepsThePlaceButNoSlot()
    {
        const auto open = OpenRuns()
                              .waiting("w", "shop", Status::InProgress)
                              .queued("a", "shop")
                              .queued("b", "blog")
                              .all();
        assertIds({"b"}, queueOf(1, 1).next(open));
    }

    /// A run that waits for a slot with its service's place in hand would wait for itself for ever.
    void testARunThatGoesOnIsNotCountedTwice()
    {
        assertIds({"a"}, queueOf(1, 1).next(OpenRuns().goingOn("a", "shop").all()));
        const auto open =
            OpenRuns().goingOn("a", "shop").queued("b", "shop").queued("c", "shop").all();
        assertIds({"a"}, queueOf(9, 1).next(open));
        assertIds({"a", "b"}, queueOf(9, 2).next(open));
    }

    void testARunThatGoesOnNeedsASlot()
    {
        const auto open = OpenRuns().running("x").queued("old").goingOn("a", "", 1).all();
        assertIds({}, queueOf(1).next(open));
        assertIds({"a"}, queueOf(2).next(open));
    }

    void testTriedAgainStillNeedsItsServicesPlace()
    {
        const auto open = OpenRuns().running("x", "shop").resumed("again", "shop").all();
        assertIds({}, queueOf(9, 1).next(open));
    }

    void testDrainingBeginsNoneButLetsBegunOnesGoOn()
    {
        Queue queue = queueOf(9, 9);
        queue.draining = true;
        const auto open =
            OpenRuns().queued("a").resumed("b").goingOn("c", "shop").queued("d", "shop").all();
        assertIds({"c"}, queue.next(open));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(QueueTest);

} // namespace agent
