#include "agent/model/Id.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

using namespace agent;

class IdTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(IdTest);
    CPPUNIT_TEST(testNewIdsAreVersion4AndDiffer);
    CPPUNIT_TEST(testIdsBesideAnotherBeginLikeIt);
    CPPUNIT_TEST(testReadsUpperCaseAsLowerCase);
    CPPUNIT_TEST(testRefusesWhatIsNoUuid);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNewIdsAreVersion4AndDiffer()
    {
        std::set<std::string> seen;
        for (int i = 0; i < 1000; ++i)
        {
            const std::string id = newId();
            CPPUNIT_ASSERT_MESSAGE(id, isVersion4(id));
            CPPUNIT_ASSERT(seen.insert(id).second);
        }
    }

    void testIdsBesideAnotherBeginLikeIt()
    {
        const std::string run = newId();
        std::set<std::string> seen{run};
        for (int i = 0; i < 1000; ++i)
        {
            const std::string id = newIdBeside(run);
            CPPUNIT_ASSERT_MESSAGE(id, isVersion4(id));
            CPPUNIT_ASSERT_EQUAL(run.substr(0, 4), id.substr(0, 4));
            CPPUNIT_ASSERT(seen.insert(id).second);
        }
    }

    void testReadsUpperCaseAsLowerCase()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("0b0c4f5e-1111-4222-8333-abcdefabcdef"),
                             parseId("0B0C4F5E-1111-4222-8333-ABCDEFABCDEF").value());
    }

    void testRefusesWhatIsNoUuid()
    {
        for (const char* text :
             {"", "x", "0b0c4f5e-1111-4222-8333-abcdefabcde",
              "0b0c4f5e11114222-8333-abcdefabcdef00", "0b0c4f5e-1111-4222-8333-abcdefabcdeg"})
            CPPUNIT_ASSERT_MESSAGE(text, !parseId(text));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(IdTest);
