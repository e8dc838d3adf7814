#include "agent/api/Sessions.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// Sessions of the dashboard.
class SessionsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SessionsTest);
    CPPUNIT_TEST(testACodeOpensOneSessionWithTheSameRights);
    CPPUNIT_TEST(testACodeIsGoodForAMinuteAndASessionForTwelveHours);
    CPPUNIT_TEST(testASessionEndsWithItsToken);
    CPPUNIT_TEST(testNobodyFillsTheMemory);
    CPPUNIT_TEST_SUITE_END();

public:
    void testACodeOpensOneSessionWithTheSameRights()
    {
        const std::string code =
            _sessions.invite("alice", {.role = Role::Run, .services = {"pay*"}}, _now);
        const auto session = _sessions.open(code, _now);
        CPPUNIT_ASSERT(session.has_value());
        const auto grant = _sessions.find(session->secret, _now);
        CPPUNIT_ASSERT_EQUAL(std::string("alice"), grant->token.name);
        CPPUNIT_ASSERT(grant->token.role == Role::Run);
        CPPUNIT_ASSERT(grant->token.services == std::vector<std::string>{"pay*"});
        CPPUNIT_ASSERT(!_sessions.open(code, _now));
        CPPUNIT_ASSERT(!_sessions.find(code, _now));
        CPPUNIT_ASSERT(!_sessions.open(session->secret, _now));
    }

    void testACodeIsGoodForAMinuteAndASessionForTwelveHours()
    {
        const auto late = _sessions.invite("alice", {.role = Role::Run}, _now);
        CPPUNIT_ASSERT(!_sessions.open(late, _now + 60'000));
        const auto inTime = _sessions.invite("alice", {.role = Role::Run}, _now);
        const auto session = _sessions.open(inTime, _now + 59'999);
        CPPUNIT_ASSERT(session.has_value());
        const TimeMs end = _now + 59'999 + 12 * 3'600'000;
        CPPUNIT_ASSERT(_sessions.find(session->secret, end - 1));
        CPPUNIT_ASSERT(!_sessions.find(session->secret, end));
    }

    void testASessionEndsWithItsToken()
    {
        const auto token = std::make_shared<Grant>(Token{.name = "alice"});
        const Caller caller{.role = Role::Read, .services = {}, .grant = token};
        const auto session = _sessions.open(_sessions.invite("alice", caller, _now), _now);
        const auto unused = _sessions.invite("alice", caller, _now);
        CPPUNIT_ASSERT(_sessions.find(session->secret, _now));
        token->revoked = true;
        CPPUNIT_ASSERT(!_sessions.find(session->secret, _now));
        CPPUNIT_ASSERT(!_sessions.open(unused, _now));
    }

    /// Who opens too many loses his own oldest ones, and nobody else's.
    void testNobodyFillsTheMemory()
    {
        const auto other =
            _sessions.open(_sessions.invite("bob", {.role = Role::Read}, _now), _now);
        std::string first;
        for (int i = 0; i < 1000; ++i)
        {
            const auto session =
                _sessions.open(_sessions.invite("eve", {.role = Role::Read}, _now), _now);
            first = first.empty() ? session->secret : first;
        }
        CPPUNIT_ASSERT(!_sessions.find(first, _now));
        CPPUNIT_ASSERT(_sessions.find(other->secret, _now));
    }

private:
    Sessions _sessions;
    TimeMs _now = nowMs();
};

CPPUNIT_TEST_SUITE_REGISTRATION(SessionsTest);

} // namespace agent
