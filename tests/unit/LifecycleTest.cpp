#include "agent/model/Lifecycle.h"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

using namespace agent;

class LifecycleTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LifecycleTest);
    CPPUNIT_TEST(testEveryStateAndEventHasItsAnswer);
    CPPUNIT_TEST(testPossiblePatchesAreThoseThatChangeSomething);
    CPPUNIT_TEST_SUITE_END();

public:
    /// The whole table once more, in letters: a row a state, a column an event, in the enums' order.
    /// . nothing, - ignore, x refuse, b busy, S start, A ask, R record, P end processes, E end external,
    /// W end waiting, J reject, K skip, C accept, T try again, D remove, L clear
    void testEveryStateAndEventHasItsAnswer()
    {
        const std::string rows[] = {"SA---..SxKxD-.W", "-.--RWxS.KJD-LW", "--RR-Px.xPPx--R",
                                    "----RWx.xEEx--W", "--RR-.b.bbbx--R", "-----.xxx.xD-L-",
                                    "-----.TxxC.DLL-", "SA---W.SxKxD-LW", "-----..xxxxD---"};
        for (int state = 0; state < 9; ++state)
            for (int event = 0; event < 15; ++event)
            {
                const auto next =
                    transition(static_cast<StageState>(state), static_cast<StageEvent>(event));
                const char found = ".-xbSARPEWJKCTDL"[static_cast<int>(order(next.effect))];
                CPPUNIT_ASSERT_EQUAL_MESSAGE("state " + std::to_string(state) + ", event " +
                                                 std::to_string(event),
                                             rows[state][static_cast<std::size_t>(event)], found);
            }
    }

    void testPossiblePatchesAreThoseThatChangeSomething()
    {
        using List = std::vector<Status>;
        CPPUNIT_ASSERT((List{Status::InProgress, Status::Success}) ==
                       possiblePatches(StageState::Idle));
        CPPUNIT_ASSERT((List{Status::Success, Status::Failure}) ==
                       possiblePatches(StageState::Running));
        CPPUNIT_ASSERT(possiblePatches(StageState::Stopping).empty());
        CPPUNIT_ASSERT(possiblePatches(StageState::Succeeded).empty());
        CPPUNIT_ASSERT(possiblePatches(StageState::Skipped).empty());
        CPPUNIT_ASSERT((List{Status::Idle, Status::Success}) ==
                       possiblePatches(StageState::Failed));
    }

private:
    static Effect order(Effect effect) { return effect; }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LifecycleTest);
