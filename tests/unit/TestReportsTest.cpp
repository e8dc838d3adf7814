#include "agent/reports/TestReports.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <rapidjson/document.h>

using agent::TestReports;

/// What is told of the JUnit reports of a stage, which may hold anything.
class TestReportsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TestReportsTest);
    CPPUNIT_TEST(testCountsTestsOfSuitesInSuites);
    CPPUNIT_TEST(testTellsWhatFailedAndWhere);
    CPPUNIT_TEST(testATestCountsOnceHoweverItFailed);
    CPPUNIT_TEST(testAddsReportsUp);
    CPPUNIT_TEST(testRefusesEntityBombs);
    CPPUNIT_TEST(testRefusesWhatIsNoReportAndCountsTheOthers);
    CPPUNIT_TEST(testCountsNothingOfAReportThatEndsInItsMiddle);
    CPPUNIT_TEST(testRefusesWhatIsTooLarge);
    CPPUNIT_TEST(testItsMemoryIsBoundedWhereElementsAreTiny);
    CPPUNIT_TEST(testRefusesSuitesThatNeverEnd);
    CPPUNIT_TEST(testWhatItTellsIsBoundedAndTheCountsAreOfAll);
    CPPUNIT_TEST(testRefusedReportsAreBoundedToo);
    CPPUNIT_TEST(testTellsValidUtf8WhateverTheReportHolds);
    CPPUNIT_TEST(testStrangeNumbersAreNone);
    CPPUNIT_TEST_SUITE_END();

    static rapidjson::Document parsed(const TestReports& results)
    {
        const std::string json = results.json();
        CPPUNIT_ASSERT(json.size() <= TestReports::jsonLimit);
        rapidjson::Document document;
        document.Parse<rapidjson::kParseValidateEncodingFlag>(json);
        CPPUNIT_ASSERT(!document.HasParseError());
        return document;
    }

    static std::string repeated(const std::string& text, int times)
    {
        std::string all;
        for (int i = 0; i < times; ++i)
            all += text;
        return all;
    }

public:
    void testCountsTestsOfSuitesInSuites()
    {
        TestReports results;
        CPPUNIT_ASSERT(!results.any());
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             results.add("a.xml", R"(<?xml version="1.0" encoding="UTF-8"?>
            <testsuites tests="99"><testsuite name="outer">
              <testcase name="one" time="1.5"/>
              <testsuite name="inner"><testcase name="two" time="0.25"/><testcase name="three"><skipped/></testcase></testsuite>
            </testsuite><properties><property name="testcase" value="x"/></properties></testsuites>)"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), results.counts().total);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), results.counts().failed);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), results.counts().skipped);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1750), results.counts().durationMs);
        CPPUNIT_ASSERT(results.any());
        const auto json = parsed(results);
        CPPUNIT_ASSERT_EQUAL(1, json["version"].GetInt());
        CPPUNIT_ASSERT_EQUAL(1, json["files"].GetInt());
        CPPUNIT_ASSERT(!json["truncated"].GetBool());
    }

    void testTellsWhatFailedAndWhere()
    {
        TestReports results;
        results.add("a.xml", R"(<testsuite name="sums" file="tests/sums.py">
            <testcase classname="Sums" name="adds" time="0.012" file="sums.py" line="17">
              <failure message="3 &lt; 4 &amp; so on" type="AssertionError">at <![CDATA[<here>]]> and there</failure></testcase>
            <testcase name="crashes"><error type="OSError"/></testcase></testsuite>)");
        const auto json = parsed(results);
        const auto& first = json["failures"][0];
        CPPUNIT_ASSERT_EQUAL(std::string("failure"), std::string(first["kind"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("sums"), std::string(first["suite"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("Sums"), std::string(first["class"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("adds"), std::string(first["name"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("sums.py"), std::string(first["file"].GetString()));
        CPPUNIT_ASSERT_EQUAL(17, first["line"].GetInt());
        CPPUNIT_ASSERT_EQUAL(12, first["durationMs"].GetInt());
        CPPUNIT_ASSERT_EQUAL(std::string("3 < 4 & so on"),
                             std::string(first["message"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("at <here> and there"),
                             std::string(first["details"].GetString()));
        const auto& second = json["failures"][1];
        CPPUNIT_ASSERT_EQUAL(std::string("error"), std::string(second["kind"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("tests/sums.py"), std::string(second["file"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("OSError"), std::string(second["message"].GetString()));
        CPPUNIT_ASSERT_EQUAL(0, second["line"].GetInt());
    }

    void testATestCountsOnceHoweverItFailed()
    {
        TestReports results;
        results.add("a.xml", "<testsuite><testcase name='x'><failure/><failure/><error/><skipped/>"
                             "</testcase></testsuite>");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), results.counts().total);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), results.counts().failed);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), results.counts().skipped);
        CPPUNIT_ASSERT_EQUAL(1U, parsed(results)["failures"].Size());
    }

    void testAddsReportsUp()
    {
        TestReports results;
        for (int i = 0; i < 3; ++i)
            results.add("a.xml", "<testsuite><testcase name='x'/><testcase name='y'><failure/>"
                                 "</testcase></testsuite>");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(6), results.counts().total);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), results.counts().failed);
        CPPUNIT_ASSERT_EQUAL(3, parsed(results)["files"].GetInt());
    }

    void testRefusesEntityBombs()
    {
        std::string bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol0 'lol'>";
        for (int i = 1; i < 10; ++i)
        {
            const std::string before = "&lol" + std::to_string(i - 1) + ";";
            bomb += "<!ENTITY lol" + std::to_string(i) + " '" + repeated(before, 10) + "'>";
        }
        bomb += "]><testsuite><testcase name='&lol9;'/></testsuite>";
        TestReports results;
        CPPUNIT_ASSERT_EQUAL(std::string("declares entities"), results.add("bomb.xml", bomb));
        CPPUNIT_ASSERT_EQUAL(std::string("declares entities"),
                             results.add("file.xml", "<!DOCTYPE t [<!ENTITY x SYSTEM "
                                                     "'file:///etc/passwd'>]><testsuite><testcase "
                                                     "name='&x;'/></testsuite>"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), results.counts().total);
        const auto json = parsed(results);
        CPPUNIT_ASSERT_EQUAL(2U, json["refused"].Size());
        CPPUNIT_ASSERT_EQUAL(std::string("bomb.xml"),
                             std::string(json["refused"][0]["file"].GetString()));
    }

    void testRefusesWhatIsNoReportAndCountsTheOthers()
    {
        TestReports results;
        for (const char* wrong : {"", "no xml", "<html/>", "<testsuite>", "{\"a\": 1}"})
            CPPUNIT_ASSERT(!results.add("wrong.xml", wrong).empty());
        CPPUNIT_ASSERT_EQUAL(
            std::string("no JUnit report: its root is neither testsuites nor testsuite"),
            results.add("wrong.xml", "<html><body>404</body></html>"));
        results.refuse("secret.xml", "is no regular file");
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             results.add("right.xml", "<testsuite><testcase/></testsuite>"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), results.counts().total);
        CPPUNIT_ASSERT_EQUAL(7U, parsed(results)["refused"].Size());
    }

    void testCountsNothingOfAReportThatEndsInItsMiddle()
    {
        TestReports results;
        CPPUNIT_ASSERT(!results
                            .add("cut.xml", "<testsuite><testcase name='x'><failure/></testcase>"
                                            "<testcase name='y'")
                            .empty());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), results.counts().total);
        CPPUNIT_ASSERT_EQUAL(0U, parsed(results)["failures"].Size());
    }

    void testRefusesWhatIsTooLarge()
    {
        TestReports results;
        CPPUNIT_ASSERT_EQUAL(std::string("larger than 32 MiB"),
                             results.add("a.xml", std::string(TestReports::fileLimit + 1, ' ')));
    }

    void testItsMemoryIsBoundedWhereElementsAreTiny()
    {
        TestReports results;
        std::string tiny = "<testsuite>";
        while (tiny.size() < TestReports::fileLimit - 20)
            tiny += "<a/>";
        tiny += "</testsuite>";
        CPPUNIT_ASSERT_EQUAL(std::string("takes more than 256 MiB to read"),
                             results.add("tiny.xml", tiny));
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             results.add("right.xml", "<testsuite><testcase/></testsuite>"));
    }

    void testRefusesSuitesThatNeverEnd()
    {
        TestReports results;
        const std::string deep =
            repeated("<testsuite>", 100'000) + repeated("</testsuite>", 100'000);
        CPPUNIT_ASSERT_EQUAL(std::string("has suites in each other, deeper than 64"),
                             results.add("deep.xml", deep));
        CPPUNIT_ASSERT(!results.add("deeper.xml", repeated("<testsuite>", 1'000'000)).empty());
    }

    void testWhatItTellsIsBoundedAndTheCountsAreOfAll()
    {
        const std::string one = "<testcase name='" + std::string(1'000, 'n') +
                                "'><failure message='" + std::string(10'000, '\x01' + 30) + "'>" +
                                std::string(50'000, '"') + "</failure></testcase>";
        TestReports results;
        results.add("a.xml", "<testsuite>" + repeated(one, 400) + "</testsuite>");
        results.add("b.xml", "<testsuite>" + repeated("<testcase><failure/></testcase>", 2'000) +
                                 "</testsuite>");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2'400), results.counts().failed);
        const auto json = parsed(results);
        CPPUNIT_ASSERT(json["truncated"].GetBool());
        CPPUNIT_ASSERT_EQUAL(2'400, json["failed"].GetInt());
        CPPUNIT_ASSERT(json["failures"].Size() > 10);
        CPPUNIT_ASSERT(json["failures"].Size() <= TestReports::mostFailures);
    }

    void testRefusedReportsAreBoundedToo()
    {
        TestReports results;
        for (int i = 0; i < 20'000; ++i)
            results.refuse(std::string(4'096, 'x'), "is no regular file");
        const auto json = parsed(results);
        CPPUNIT_ASSERT_EQUAL(100U, json["refused"].Size());
        CPPUNIT_ASSERT(json["truncated"].GetBool());
    }

    void testTellsValidUtf8WhateverTheReportHolds()
    {
        TestReports results;
        std::string report = "<testsuite name='";
        for (int byte = 1; byte < 256; ++byte)
            if (byte != '\'' && byte != '<' && byte != '&')
                report += static_cast<char>(byte);
        report +=
            "'><testcase name='&#x1F600;&#0;'><failure>\xff\xfe</failure></testcase></testsuite>";
        CPPUNIT_ASSERT_EQUAL(std::string(), results.add("a.xml", report));
        CPPUNIT_ASSERT_EQUAL(1U, parsed(results)["failures"].Size());
    }

    void testStrangeNumbersAreNone()
    {
        TestReports results;
        results.add("a.xml", "<testsuite><testcase time='1,234.5'/><testcase time='nan'/>"
                             "<testcase time='-1'/><testcase time='1e300'/><testcase time='inf'/>"
                             "<testcase time='x' line='-3'><failure/></testcase></testsuite>");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1'234'500), results.counts().durationMs);
        CPPUNIT_ASSERT_EQUAL(0, parsed(results)["failures"][0]["line"].GetInt());
        TestReports many;
        many.add("a.xml", "<testsuite>" + repeated("<testcase time='3155760000'/>", 10'000) +
                              "</testsuite>");
        CPPUNIT_ASSERT_EQUAL(agent::TestCounts::longestMs, many.counts().durationMs);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TestReportsTest);
