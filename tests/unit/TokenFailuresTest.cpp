#include "agent/api/TokenFailures.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// What wrong tokens cost whom.
class TokenFailuresTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TokenFailuresTest);
    CPPUNIT_TEST(testAfterFiveEachFurtherOneWaitsASecond);
    CPPUNIT_TEST(testFailuresAreForgottenAfterAMinute);
    CPPUNIT_TEST(testNoMorePeersAreKeptThanPromised);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAfterFiveEachFurtherOneWaitsASecond()
    {
        for (int i = 0; i < 5; ++i)
            CPPUNIT_ASSERT(!_failures.failed("a", _now));
        CPPUNIT_ASSERT(_failures.failed("a", _now));
        CPPUNIT_ASSERT(_failures.failed("a", _now + std::chrono::milliseconds(999)));
        CPPUNIT_ASSERT(!_failures.failed("a", _now + std::chrono::seconds(1)));
        CPPUNIT_ASSERT(_failures.failed("a", _now + std::chrono::milliseconds(1999)));
        CPPUNIT_ASSERT(!_failures.failed("b", _now));
        CPPUNIT_ASSERT_EQUAL(1, _lines);
    }

    void testFailuresAreForgottenAfterAMinute()
    {
        for (int i = 0; i < 6; ++i)
            (void)_failures.failed("a", _now);
        const auto later = _now + std::chrono::seconds(60);
        for (int i = 0; i < 5; ++i)
            CPPUNIT_ASSERT(!_failures.failed("a", later));
        CPPUNIT_ASSERT(_failures.failed("a", later));
        CPPUNIT_ASSERT_EQUAL(2, _lines);
    }

    void testNoMorePeersAreKeptThanPromised()
    {
        for (int i = 0; i < 5000; ++i)
            (void)_failures.failed(std::to_string(i), _now + std::chrono::milliseconds(i));
        CPPUNIT_ASSERT_EQUAL(TokenFailures::mostPeers, _failures.peers());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t(5000), _failures.counts().failures);
    }

private:
    int _lines = 0;
    TokenFailures _failures{[this](const std::string&) { ++_lines; }};
    TokenFailures::Clock::time_point _now = TokenFailures::Clock::now();
};

CPPUNIT_TEST_SUITE_REGISTRATION(TokenFailuresTest);

} // namespace agent
