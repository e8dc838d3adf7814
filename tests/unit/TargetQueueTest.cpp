#include "agent/outbox/TargetQueue.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace agent
{

/// Which report is sent next: docs/outbox.md, "Order and repetition".
class TargetQueueTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TargetQueueTest);
    CPPUNIT_TEST(testReportsAreDueInTheirOrder);
    CPPUNIT_TEST(testARunThatFailsKeepsItsOrderAndHoldsUpNoOther);
    CPPUNIT_TEST(testPausesGrowToTenMinutesAndAreNeverEqual);
    CPPUNIT_TEST(testATargetThatIsDownGetsOneReportAtATime);
    CPPUNIT_TEST(testAllAreDueWhenATargetIsUpAgain);
    CPPUNIT_TEST(testATargetMayAskForTime);
    CPPUNIT_TEST(testAnOperatorMakesARunDueAtOnce);
    CPPUNIT_TEST(testLogsTakeTurnsBehindTheReports);
    CPPUNIT_TEST(testOldReportsAreTakenOutAndTheOthersStay);
    CPPUNIT_TEST(testWhateverFailsEachReportIsSentOnceInOrder);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReportsAreDueInTheirOrder()
    {
        CPPUNIT_ASSERT(!_queue.nextAt());
        add({"a", "b", "a"});
        for (const std::int64_t seq : {1, 2, 3})
        {
            const auto entry = _queue.due(1000);
            CPPUNIT_ASSERT(entry);
            CPPUNIT_ASSERT_EQUAL(seq, entry->seq);
            _queue.done(*entry, true);
        }
        CPPUNIT_ASSERT(!_queue.due(1000));
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), _queue.size());
    }

    void testARunThatFailsKeepsItsOrderAndHoldsUpNoOther()
    {
        add({"a", "a", "b"});
        fail(1000);
        const auto other = _queue.due(1000);
        CPPUNIT_ASSERT(other);
        CPPUNIT_ASSERT_EQUAL(std::string("b"), other->runId);
        _queue.done(*other, true);
        CPPUNIT_ASSERT(!_queue.due(1999));
        CPPUNIT_ASSERT(*_queue.nextAt() >= 2000);
        const auto again = _queue.due(*_queue.nextAt());
        CPPUNIT_ASSERT(again);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), again->seq);
        _queue.done(*again, true);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), _queue.due(2000)->seq);
    }

    void testPausesGrowToTenMinutesAndAreNeverEqual()
    {
        add({"a"});
        std::int64_t now = 1000;
        std::int64_t least = 1000;
        for (int round = 0; round < 30; ++round)
        {
            fail(now);
            const std::int64_t pause = *_queue.nextAt() - now;
            CPPUNIT_ASSERT_MESSAGE(std::to_string(pause), pause >= least && pause <= 600'000);
            CPPUNIT_ASSERT(round > 3 || pause <= least + least / 2);
            now += pause;
            least = std::min<std::int64_t>(least * 2, 600'000);
        }
        TargetQueue other(77);
        other.add({1, "a", 0, "a"});
        TargetQueue third(78);
        third.add({1, "a", 0, "a"});
        other.failed(*other.due(1), 1, {});
        third.failed(*third.due(1), 1, {});
        CPPUNIT_ASSERT(*other.nextAt() != *third.nextAt());
    }

    void testATargetThatIsDownGetsOneReportAtATime()
    {
        add({"a", "b", "c", "d", "e", "f", "g"});
        for (int i = 0; i < TargetQueue::failuresUntilDown; ++i)
        {
            CPPUNIT_ASSERT(!_queue.down());
            fail(1000);
        }
        CPPUNIT_ASSERT(_queue.down());
        CPPUNIT_ASSERT(!_queue.due(1999));
        std::int64_t now = *_queue.nextAt();
        std::int64_t last = 0;
        for (int i = 0; i < 6; ++i)
        {
            fail(now);
            CPPUNIT_ASSERT(!_queue.due(now));
            CPPUNIT_ASSERT(*_queue.nextAt() - now > last);
            last = *_queue.nextAt() - now;
            now = *_queue.nextAt();
        }
    }

    void testAllAreDueWhenATargetIsUpAgain()
    {
        add({"a", "b", "c", "d", "e", "f"});
        std::int64_t now = 1000;
        for (int i = 0; i < 12; ++i)
        {
            fail(now);
            now = *_queue.nextAt();
        }
        _queue.done(*_queue.due(now), true);
        int due = 0;
        while (const auto entry = _queue.due(now))
        {
            _queue.done(*entry, true);
            ++due;
        }
        CPPUNIT_ASSERT_EQUAL(5, due);
    }

    void testATargetMayAskForTime()
    {
        add({"a", "b"});
        _queue.failed(*_queue.due(1000), 1000, 30'000);
        CPPUNIT_ASSERT(!_queue.due(30'999));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(31'000), *_queue.nextAt());
        CPPUNIT_ASSERT(_queue.due(31'000));
    }

    void testAnOperatorMakesARunDueAtOnce()
    {
        add({"a", "b"});
        for (int i = 0; i < 9; ++i)
            fail(_queue.nextAt().value_or(0) + 1);
        const std::int64_t now = *_queue.nextAt() - 1;
        CPPUNIT_ASSERT(!_queue.due(now));
        _queue.retry("b");
        CPPUNIT_ASSERT(*_queue.nextAt() <= now);
        CPPUNIT_ASSERT_EQUAL(std::string("b"), _queue.due(now)->runId);
        fail(now); // once
        CPPUNIT_ASSERT(!_queue.due(now));
        _queue.retry("no such run");
        CPPUNIT_ASSERT(!_queue.due(now));
    }

    void testLogsTakeTurnsBehindTheReports()
    {
        _queue.add({1, "a", 0, "a/1"});
        _queue.add({2, "a", 0, "a/2"});
        _queue.add({3, "a", 0, "a"});
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), _queue.due(1)->seq);
        _queue.done(*_queue.due(1), true);
        for (const std::int64_t seq : {1, 2, 1, 2})
        {
            const auto entry = _queue.due(10);
            CPPUNIT_ASSERT_EQUAL(seq, entry->seq);
            _queue.later(*entry, 5, true);
        }
        _queue.add({4, "a", 0, "a"});
        CPPUNIT_ASSERT_EQUAL(std::int64_t(4), _queue.due(10)->seq);
        CPPUNIT_ASSERT(!_queue.hasFailed());
    }

    void testOldReportsAreTakenOutAndTheOthersStay()
    {
        _queue.add({1, "a", 100, "a"});
        _queue.add({2, "b", 900, "b"});
        _queue.add({3, "a", 950, "a"});
        _queue.add({4, "c", 50, "c"});
        const auto old = _queue.take([](const TargetQueue::Entry& one) { return one.at < 500; });
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), old.size());
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), _queue.size());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), _queue.due(1)->seq);
        _queue.done(*_queue.due(1), true);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), _queue.due(1)->seq);
    }

    /// 200 queues with random runs, failures and operators, against a clock that goes to what is due next.
    void testWhateverFailsEachReportIsSentOnceInOrder()
    {
        for (unsigned seed = 1; seed <= 200; ++seed)
        {
            std::minstd_rand random(seed);
            const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
            TargetQueue queue(seed);
            std::map<std::string, std::vector<std::int64_t>> wanted;
            std::map<std::string, std::vector<std::int64_t>> sent;
            std::int64_t now = 1;
            std::int64_t seq = 0;
            for (int step = 0; step < 600 || queue.size() > 0; ++step)
            {
                if (step < 600 && chance(40))
                {
                    const std::string run(1, static_cast<char>('a' + random() % 9));
                    queue.add({++seq, run, 0, run});
                    wanted[run].push_back(seq);
                }
                if (chance(5))
                    queue.retry(std::string(1, static_cast<char>('a' + random() % 9)));
                const auto entry = queue.due(now);
                if (!entry)
                {
                    CPPUNIT_ASSERT(queue.size() == 0 || *queue.nextAt() > now);
                    now = queue.nextAt().value_or(now);
                }
                else if (chance(60))
                    queue.failed(*entry, now,
                                 chance(10) ? std::optional<std::int64_t>(5000) : std::nullopt);
                else
                {
                    queue.done(*entry, chance(80));
                    sent[entry->runId].push_back(entry->seq);
                }
            }
            CPPUNIT_ASSERT(wanted == sent);
        }
    }

private:
    void add(const std::vector<std::string>& runs)
    {
        for (const auto& run : runs)
            _queue.add({++_seq, run, 0, run});
    }

    void fail(std::int64_t now)
    {
        const auto entry = _queue.due(now);
        CPPUNIT_ASSERT(entry);
        _queue.failed(*entry, now, {});
    }

    TargetQueue _queue{1};
    std::int64_t _seq = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(TargetQueueTest);

} // namespace agent
