#include "agent/run/Queue.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <map>
#include <random>
#include <tuple>
#include <vector>

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

    /// One that was tried again by hand.
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

/// Hands out slots as the engine does, until no run gets one.
Ids handOut(Queue& queue)
{
    Ids chosen;
    while (auto next = queue.next())
    {
        chosen.push_back(next->id);
        next->begun = next->holdsSlot = true;
        next->wantsSlot = next->resumed = false;
        queue.set(next->seq, next);
    }
    return chosen;
}

/// A queue yet to be filled.
struct Setup
{
    int slots = 1;
    bool draining = false;
    std::function<int(const std::string& service)> concurrency = {};

    /// Returns the ids of those of `open` that get a slot, in that order.
    [[nodiscard]] Ids next(const std::vector<Run>& open) const
    {
        Queue queue(slots, concurrency);
        queue.drain(draining);
        for (const auto& run : open)
            queue.set(run.seq, QueuedRun::of(run));
        return handOut(queue);
    }
};

Setup queueOf(int slots, int concurrency = 1)
{
    return {.slots = slots, .concurrency = [=](const std::string&) { return concurrency; }};
}

/// The rules once more, over all open runs: what the queue must agree with whatever happened before.
std::string firstOf(const std::map<std::int64_t, Run>& open, int slots, int concurrency)
{
    int holding = 0;
    std::map<std::string, int> begun;
    for (const auto& [seq, run] : open)
    {
        holding += run.holdsSlot ? 1 : 0;
        begun[run.serviceName] += run.status != Status::Idle || run.holdsSlot ? 1 : 0;
    }
    const Run* first = nullptr;
    for (const auto& [seq, run] : open)
    {
        const bool held = run.status == Status::Idle && !run.holdsSlot &&
                          !run.serviceName.empty() && begun[run.serviceName] >= concurrency;
        if (!run.wantsSlot || held || holding >= slots)
            continue;
        const auto rank = [](const Run& one)
        { return std::tuple(!one.resumed, -one.priority, one.seq); };
        if (!first || rank(run) < rank(*first))
            first = &run;
    }
    return first ? first->id : "";
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
    CPPUNIT_TEST(testCountsRunsThatHoldASlotAndThatWantOne);
    CPPUNIT_TEST(testAReloadedConcurrencyIsAppliedWhenTold);
    CPPUNIT_TEST(testAChangeLooksAtItsOwnServiceOnly);
    CPPUNIT_TEST(testAnyChangesAndTheirUndoingAgreeWithTheRules);
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
        Setup queue{.slots = 3};
        queue.concurrency = [](const std::string& service)
        {
            CPPUNIT_ASSERT_MESSAGE("asked for no service's concurrency", !service.empty());
            return 1;
        };
        assertIds({"a", "b"}, queue.next(OpenRuns().running("x").queued("a").queued("b").all()));
    }

    void testEachServiceHasItsOwnConcurrency()
    {
        Setup queue{.slots = 9};
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
        Setup queue = queueOf(9, 9);
        queue.draining = true;
        const auto open =
            OpenRuns().queued("a").resumed("b").goingOn("c", "shop").queued("d", "shop").all();
        assertIds({"c"}, queue.next(open));
    }

    void testCountsRunsThatHoldASlotAndThatWantOne()
    {
        Queue queue(1, [](const std::string&) { return 1; });
        const auto open = OpenRuns()
                              .running("a")
                              .queued("b")
                              .goingOn("c")
                              .waiting("d", "shop", Status::AwaitingApproval)
                              .all();
        for (const auto& run : open)
            queue.set(run.seq, QueuedRun::of(run));
        CPPUNIT_ASSERT_EQUAL(1, queue.running());
        CPPUNIT_ASSERT_EQUAL(2, queue.waiting());
        queue.set(open[0].seq, std::nullopt);
        queue.set(open[1].seq, std::nullopt);
        CPPUNIT_ASSERT_EQUAL(0, queue.running());
        CPPUNIT_ASSERT_EQUAL(1, queue.waiting());
    }

    void testAReloadedConcurrencyIsAppliedWhenTold()
    {
        int concurrency = 1;
        Queue queue(9, [&](const std::string&) { return concurrency; });
        const auto runs =
            OpenRuns().running("x", "shop").queued("a", "shop").queued("b", "shop").all();
        for (const auto& run : runs)
            queue.set(run.seq, QueuedRun::of(run));
        assertIds({}, handOut(queue));
        concurrency = 2;
        queue.servicesChanged();
        assertIds({"a"}, handOut(queue));
        concurrency = 1;
        queue.servicesChanged();
        assertIds({}, handOut(queue));
    }

    /// With 10,000 runs of 1,000 services waiting, a change asks once for the service it is of.
    void testAChangeLooksAtItsOwnServiceOnly()
    {
        int asked = 0;
        Queue queue(1,
                    [&](const std::string&)
                    {
                        ++asked;
                        return 1;
                    });
        for (int i = 1; i <= 10'000; ++i)
            queue.set(i, QueuedRun{.seq = i,
                                   .id = std::to_string(i),
                                   .service = "service " + std::to_string(i % 1'000),
                                   .wantsSlot = true});
        asked = 0;
        queue.set(10'001,
                  QueuedRun{.seq = 10'001, .id = "new", .service = "service 7", .wantsSlot = true});
        CPPUNIT_ASSERT_EQUAL(1, asked);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), queue.next()->id);
        assertIds({"1"}, handOut(queue));
        CPPUNIT_ASSERT_EQUAL(2, asked);
        queue.set(1, std::nullopt);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), queue.next()->id);
    }

    void testAnyChangesAndTheirUndoingAgreeWithTheRules()
    {
        std::mt19937 random(20261127);
        const auto below = [&](int limit) { return static_cast<int>(random() % limit); };
        for (int round = 0; round < 200; ++round)
        {
            const int slots = 1 + below(4), concurrency = 1 + below(2);
            Queue queue(slots, [=](const std::string&) { return concurrency; });
            std::map<std::int64_t, Run> open;
            for (int step = 0; step < 60; ++step)
            {
                const std::int64_t seq = 1 + below(12);
                const auto before = open;
                const std::string services[] = {"", "shop", "blog"};
                Run run{.id = std::to_string(seq), .seq = seq};
                run.serviceName = services[seq % 3];
                const Status statuses[] = {Status::Idle, Status::InProgress,
                                           Status::AwaitingApproval, Status::Success};
                run.status = statuses[below(4)];
                run.priority = below(3);
                run.resumed = below(3) == 0;
                run.holdsSlot = run.status == Status::InProgress && below(2) == 0;
                run.wantsSlot = !run.holdsSlot && !run.ended() && below(2) == 0;
                open.erase(seq);
                if (!run.ended())
                    open.emplace(seq, run);
                const auto previous = queue.set(seq, QueuedRun::of(run));
                if (below(3) == 0)
                {
                    queue.set(seq, previous);
                    open = before;
                }
                const auto next = queue.next();
                CPPUNIT_ASSERT_EQUAL(firstOf(open, slots, concurrency), next ? next->id : "");
            }
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(QueueTest);

} // namespace agent
