#include "agent/api/Json.h"
#include "agent/model/Declined.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class RequestBodyTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RequestBodyTest);
    CPPUNIT_TEST(testTakesWhatItMayHold);
    CPPUNIT_TEST(testTextsThatEndWithinACharacterAreRefused);
    CPPUNIT_TEST(testNothingFollowsTheObject);
    CPPUNIT_TEST(testNumbersOfAPipelineKeepTheirValue);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTakesWhatItMayHold()
    {
        const auto patch = stagePatchFrom(R"({"status":"FAILURE","reason":"\u00fc\n ü"})");
        CPPUNIT_ASSERT(patch.status == Status::Failure);
        CPPUNIT_ASSERT_EQUAL(std::string("ü\n ü"), patch.reason);
    }

    /// Symptom: up to three bytes past the end of a body were read. Cause: RapidJSON's check of UTF-8 goes
    /// on behind the end of the text. Found by body-fuzz; seen under ASan only.
    void testTextsThatEndWithinACharacterAreRefused()
    {
        for (const char* end : {"\xf2", "\xf2\x80", "\xf2\x80\x80", "\xe2", "\xe2\x80", "\xc3"})
        {
            CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"),
                                 codeOf(R"({"reason":"a text of some length)" + std::string(end)));
            CPPUNIT_ASSERT_EQUAL(
                std::string("malformed_json"),
                codeOf(R"({"reason":"a text of some length)" + std::string(end) + "\"}"));
        }
    }

    /// Symptom: what stood behind a NUL was ignored.
    void testNothingFollowsTheObject()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), codeOf("{} \n"));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), codeOf("{} {}"));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), codeOf(std::string("{}\0{}", 5)));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), codeOf(std::string("\0", 1)));
    }

    /// Symptom: a plugin got 9.6e-240, or any other number, for 0e-30. Cause: RapidJSON's numbers of full
    /// precision count the leading zeros of zero. Found by body-fuzz.
    void testNumbersOfAPipelineKeepTheirValue()
    {
        const auto textOf = [](const std::string& number)
        {
            const auto request = runRequestFrom(
                R"({"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"n":)" + number +
                "}}]}}");
            CPPUNIT_ASSERT(request.pipeline && request.pipeline->problems.empty());
            return request.pipeline->spec.stages.at(0).with.at("n").text;
        };
        for (const char* zero : {"0e-30", "0e300", "0.000000000000000000000000000000000000"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(zero, std::string("0.0"), textOf(zero));
        for (const char* same : {"0", "-7", "0.1", "1.5", "3.141592653589793", "123456789.123",
                                 "1e30", "9223372036854775807"})
            CPPUNIT_ASSERT_EQUAL(std::string(same), textOf(same));
    }

private:
    /// The code with which the body is refused; empty when it is not.
    static std::string codeOf(const std::string& body)
    {
        try
        {
            stagePatchFrom(body);
            return "";
        }
        catch (const Declined& declined)
        {
            return declined.code;
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RequestBodyTest);

} // namespace agent
