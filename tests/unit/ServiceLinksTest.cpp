// The keys labels and links of a service.
#include "tests/support/ServiceFiles.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class ServiceLinksTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ServiceLinksTest);
    CPPUNIT_TEST(testReadsLabelsAndLinks);
    CPPUNIT_TEST(testTellsWrongLabels);
    CPPUNIT_TEST(testTellsWrongLinks);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsLabelsAndLinks()
    {
        const auto parsed = _files.service(rest + "labels: {team/a: 'x: y', n: 1}\n"
                                                  "links: {commit: 'http://a/{commit}?x=1'}\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), test::all(parsed.problems));
        CPPUNIT_ASSERT(parsed.service.labels == (Labels{{"team/a", "x: y"}, {"n", "1"}}));
        CPPUNIT_ASSERT(parsed.service.links == (Links{.commit = "http://a/{commit}?x=1"}));
    }

    void testTellsWrongLabels()
    {
        _files.check(rest + "labels: a\n", ":3: labels: expected a map");
        _files.check(rest + "labels:\n  a b: x\n",
                     ":4: labels.a b: its key must be 1 to 63 letters");
        _files.check(rest + "labels: {a: [x]}\n", ":3: labels.a: expected text, found a list");
        _files.check(rest + "labels: {a: \"x\\ny\"}\n", ":3: labels.a: must be one line");
        _files.check(rest + "labels: {a: " + std::string(256, 'x') + "}\n", ":3: labels.a: ");
        std::string many = rest + "labels:\n";
        for (int i = 0; i < 33; ++i)
            many += "  k" + std::to_string(i) + ": x\n";
        _files.check(many, ":3: labels: must not hold more than 32 labels");
    }

    /// The page makes links of them: nothing but a page may be behind.
    void testTellsWrongLinks()
    {
        _files.check(rest + "links: a\n", ":3: links: expected a map");
        _files.check(rest + "links: {commmit: 'http://a/{commit}'}\n",
                     ":3: links.commmit: unknown key, did you mean 'commit'?");
        _files.check(rest + "links: {commit: 'javascript:alert({commit})'}\n",
                     ":3: links.commit: must begin with https:// or http://");
        _files.check(rest + "links: {commit: 'https://a/ {commit}'}\n",
                     ":3: links.commit: must be");
        _files.check(rest + "links: {branch: 'https://a/{commit}'}\n",
                     ":3: links.branch: must have {branch} in it");
        _files.check(rest + "links: {pull: [a]}\n", ":3: links.pull: expected text");
    }

private:
    const std::string rest = "name: a\nstages: [{type: OTHER, plugin: p}]\n";
    test::ServiceFiles _files;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServiceLinksTest);

} // namespace agent
