#include "agent/document/Document.h"
#include "agent/document/DocumentValue.h"
#include "agent/model/Suggestion.h"

#include <chrono>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <random>
#include <rapidjson/document.h>

namespace agent
{

namespace
{

using Kind = DocumentNode::Kind;

std::string firstProblem(const std::string& text, bool json = false)
{
    std::vector<Problem> problems;
    json ? parseJson(text, "a.yaml", problems) : parseYaml(text, "a.yaml", problems);
    return problems.empty() ? "" : problems.front().describe();
}

DocumentNode tree(const std::string& text)
{
    std::vector<Problem> problems;
    auto node = parseYaml(text, "a.yaml", problems);
    CPPUNIT_ASSERT_EQUAL(std::string(),
                         problems.empty() ? std::string() : problems.front().describe());
    return node.value();
}

rapidjson::Document value(const std::string& json)
{
    rapidjson::Document document;
    document.Parse(json);
    CPPUNIT_ASSERT(!document.HasParseError());
    return document;
}

} // namespace

class DocumentTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(DocumentTest);
    CPPUNIT_TEST(testKnowsKindsOfPlainAndQuotedScalars);
    CPPUNIT_TEST(testKeepsLinesOfKeys);
    CPPUNIT_TEST(testTellsDuplicateKeysWithPathAndGoesOn);
    CPPUNIT_TEST(testTellsMalformedYamlOnceWithLine);
    CPPUNIT_TEST(testTakesOneDocumentOnly);
    CPPUNIT_TEST(testExpandsAliases);
    CPPUNIT_TEST(testMergeKeysGiveWhatTheMapHasNotItself);
    CPPUNIT_TEST(testTellsMergeKeysThatAreNoMaps);
    CPPUNIT_TEST(testRefusesExpansionBombsSoon);
    CPPUNIT_TEST(testRefusesAliasInsideItself);
    CPPUNIT_TEST(testHoldsLimits);
    CPPUNIT_TEST(testRefusesControlCharacters);
    CPPUNIT_TEST(testRefusesTextThatIsNotUtf8);
    CPPUNIT_TEST(testRefusesTagsAndStrangeKeys);
    CPPUNIT_TEST(testJsonReadsTheSameTree);
    CPPUNIT_TEST(testJsonTellsLinesAndErrors);
    CPPUNIT_TEST(testAParsedValueGivesTheSameTree);
    CPPUNIT_TEST(testAParsedValueIsHeldToTheSameLimits);
    CPPUNIT_TEST(testSurvivesDamagedDocuments);
    CPPUNIT_TEST(testSuggestsNearKeysOnly);
    CPPUNIT_TEST_SUITE_END();

public:
    void testKnowsKindsOfPlainAndQuotedScalars()
    {
        const DocumentNode list =
            tree("[1, -2.5e3, 007, 0x1f, +1, 1., true, 'true', \"1\", yes, ~, "
                 "null, '', !!str 5, True, .5, 1e999, 0e999, -, 1 2]");
        const std::vector<Kind> expected{Kind::Number, Kind::Number, Kind::String,  Kind::String,
                                         Kind::String, Kind::String, Kind::Boolean, Kind::String,
                                         Kind::String, Kind::String, Kind::Null,    Kind::Null,
                                         Kind::String, Kind::String, Kind::String,  Kind::String,
                                         Kind::String, Kind::String, Kind::String,  Kind::String};
        CPPUNIT_ASSERT_EQUAL(expected.size(), list.items.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            CPPUNIT_ASSERT_MESSAGE(list.items[i].text, expected[i] == list.items[i].kind);
        CPPUNIT_ASSERT_EQUAL(std::string("007"), list.items[2].text);
        CPPUNIT_ASSERT(tree("|\n 5\n").kind == Kind::String);
    }

    void testKeepsLinesOfKeys()
    {
        const DocumentNode map = tree("# a\na:\n  - x\n  - b: 1\nc:\n  d: |\n    x\ne:\n");
        CPPUNIT_ASSERT_EQUAL(2, map.items[0].line);
        CPPUNIT_ASSERT_EQUAL(3, map.items[0].items[0].line);
        CPPUNIT_ASSERT_EQUAL(4, map.items[0].items[1].items[0].line);
        CPPUNIT_ASSERT_EQUAL(6, map.items[1].items[0].line);
        CPPUNIT_ASSERT_EQUAL(8, map.items[2].line);
        CPPUNIT_ASSERT(map.items[2].kind == Kind::Null);
    }

    void testTellsDuplicateKeysWithPathAndGoesOn()
    {
        std::vector<Problem> problems;
        const auto node =
            parseYaml("a:\n  - {x: 1}\n  - {x: 1,\n     x: 2}\na: 3\nb: 4\n", "f", problems);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, problems.size());
        CPPUNIT_ASSERT_EQUAL(std::string("f:4: a[1].x: this key is here twice"),
                             problems[0].describe());
        CPPUNIT_ASSERT_EQUAL(std::string("f:5: a: this key is here twice"), problems[1].describe());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, node->items.size());
        CPPUNIT_ASSERT_EQUAL(std::string("1"), node->items[0].items[1].items[0].text);
    }

    void testTellsMalformedYamlOnceWithLine()
    {
        for (const char* text : {"a: 1\nb: [1, 2\nc: }", "a: 1\n\tb: 2", "a: 1\nb: 'x",
                                 "a: 1\n b: 2", "a: 1\nb: *none", "a: 1\nb: \"\\ud800\""})
        {
            std::vector<Problem> problems;
            CPPUNIT_ASSERT_MESSAGE(text, !parseYaml(text, "f", problems));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::size_t{1}, problems.size());
            CPPUNIT_ASSERT_MESSAGE(problems[0].describe(), problems[0].line >= 2);
            CPPUNIT_ASSERT(problems[0].message.starts_with("malformed YAML: "));
        }
    }

    void testTakesOneDocumentOnly()
    {
        for (const char* nothing : {"", "\n\n", "# only words\n"})
            CPPUNIT_ASSERT_EQUAL(std::string("a.yaml: holds nothing"), firstProblem(nothing));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml: holds more than one document"),
                             firstProblem("a: 1\n---\na: 2\n"));
        CPPUNIT_ASSERT_EQUAL(std::string(), firstProblem("---\na: 1\n...\n"));
    }

    void testMergeKeysGiveWhatTheMapHasNotItself()
    {
        const DocumentNode map = tree(
            "a: &x {k: 1, l: [2]}\nb: &y {k: 3, m: 4}\nc: {<<: *x, l: 5}\nd: {l: 6, <<: [*x, *y]}\n"
            "e:\n  <<: {n: 7}\n");
        CPPUNIT_ASSERT_EQUAL(std::string("{\"a\":{\"k\":1,\"l\":[2]},\"b\":{\"k\":3,\"m\":4},"
                                         "\"c\":{\"l\":5,\"k\":1},\"d\":{\"l\":6,\"k\":1,\"m\":4},"
                                         "\"e\":{\"n\":7}}"),
                             jsonOf(map));
        std::vector<Problem> problems;
        const auto json = parseJson(R"({"<<":{"a":1}})", "f", problems);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"<<":{"a":1}})"), jsonOf(json.value()));
    }

    void testTellsMergeKeysThatAreNoMaps()
    {
        for (const char* text : {"a: 1\n<<: 2\n", "a: 1\n<<: [{b: 1}, 2]\n", "a: 1\n<<: ~\n"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                text, std::string("a.yaml:2: a merge key (<<) takes a map, or a list of maps"),
                firstProblem(text));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: <<: this key is here twice"),
                             firstProblem("<<: {a: 1}\n<<: {b: 1}\n"));
    }

    void testExpandsAliases()
    {
        const DocumentNode map = tree("a: &x {k: [1]}\nb: *x\nc: &n name\nd: {*n : 1}\n");
        CPPUNIT_ASSERT_EQUAL(std::string("{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]},\"c\":\"name\","
                                         "\"d\":{\"name\":1}}"),
                             jsonOf(map));
        CPPUNIT_ASSERT_EQUAL(2, map.items[1].line);
    }

    void testRefusesExpansionBombsSoon()
    {
        const auto before = std::chrono::steady_clock::now();
        std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
        for (int i = 1; i < 30; ++i)
        {
            const std::string last = std::to_string(i - 1);
            laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
            for (int j = 0; j < 9; ++j)
                laughs += (j == 0 ? "*a" : ",*a") + last;
            laughs += "]\n";
        }
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:5: more than 10000 values"), firstProblem(laughs));

        std::string large = "a: &a " + std::string(200'000, 'x') + "\nb: [";
        for (int i = 0; i < 5'000; ++i)
            large += "*a,";
        CPPUNIT_ASSERT(firstProblem(large + "]").find("bytes of text") != std::string::npos);

        for (const char* open : {"[", "{", "{a: ", "- ", "? ", "[{"})
        {
            std::string deep;
            while (deep.size() < 200'000)
                deep += open;
            CPPUNIT_ASSERT_MESSAGE(open, !firstProblem(deep).empty());
            CPPUNIT_ASSERT_MESSAGE(open, !firstProblem(deep, true).empty());
        }
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - before < std::chrono::seconds(20));
    }

    void testRefusesAliasInsideItself()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: an alias inside what it stands for never ends"),
                             firstProblem("a: &x [*x]"));
    }

    void testHoldsLimits()
    {
        std::string deep = std::string(32, '[') + std::string(32, ']');
        CPPUNIT_ASSERT_EQUAL(std::string(), firstProblem(deep));
        deep = '[' + deep + ']';
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: nested deeper than 32"), firstProblem(deep));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: nested deeper than 32"),
                             firstProblem(deep, true));
        const std::string half = "a: &a " + std::string(20, '[') + std::string(20, ']') +
                                 "\nb: " + std::string(20, '[') + "*a" + std::string(20, ']');
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: nested deeper than 32"), firstProblem(half));

        std::string many = "[";
        for (int i = 0; i < 9'999; ++i)
            many += "1,";
        CPPUNIT_ASSERT_EQUAL(std::string(), firstProblem(many + "]"));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: more than 10000 values"),
                             firstProblem(many + "1]"));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml: longer than 262144 bytes"),
                             firstProblem("a: " + std::string(262'144, 'x')));
    }

    void testRefusesControlCharacters()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: holds a control character"),
                             firstProblem(std::string("a: 1\nb: \0", 9)));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: b: holds a control character"),
                             firstProblem("a: 1\nb: \"\\0\""));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: b[1]: holds a control character"),
                             firstProblem("b: [a, \"\\e[31m\"]"));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: b: holds a control character"),
                             firstProblem("{\n\"b\": \"\\u0000\"}", true));
        CPPUNIT_ASSERT_EQUAL(std::string(), firstProblem("a: \"1\\n\\t2\\r\\n\""));
    }

    void testRefusesTextThatIsNotUtf8()
    {
        for (const char* bytes :
             {"\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\xaf", "\xed\xa0\x80"})
        {
            const std::string text = std::string("a: 1\nb: ") + bytes;
            CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:2: is not UTF-8"), firstProblem(text));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("\xf0\x9f\x98\x80"),
                             tree("a: \xf0\x9f\x98\x80").items[0].text);
    }

    void testRefusesTagsAndStrangeKeys()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: a: tags (`!name`) are not supported"),
                             firstProblem("a: !python/object 1"));
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:1: a: tags (`!name`) are not supported"),
                             firstProblem("a: !x [1]"));
        for (const char* text : {"[a]: 1", "{{a: 1}: 1}", "~: 1", "'': 1", "\"a\\n\": 1"})
            CPPUNIT_ASSERT_MESSAGE(text, firstProblem(text).find("a key must be text") !=
                                             std::string::npos);
        CPPUNIT_ASSERT(firstProblem(std::string(300, 'k') + ": 1").find("a key must be text") !=
                       std::string::npos);
    }

    void testJsonReadsTheSameTree()
    {
        const std::string json =
            R"({"a":[1,-2.5e3,true,null,"x"],"b":{"c":"\ud83d\ude00\/\n\"\\"},"d":"007","e":1e300})";
        std::vector<Problem> problems;
        const auto node = parseJson(json, "", problems);
        CPPUNIT_ASSERT(problems.empty());
        CPPUNIT_ASSERT_EQUAL(
            std::string("{\"a\":[1,-2.5e3,true,null,\"x\"],\"b\":{\"c\":"
                        "\"\xf0\x9f\x98\x80/\\n\\\"\\\\\"},\"d\":\"007\",\"e\":1e300}"),
            jsonOf(*node));
        CPPUNIT_ASSERT(node->items[2].kind == Kind::String);
    }

    void testJsonTellsLinesAndErrors()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a.yaml:3: a.b: this key is here twice"),
                             firstProblem("{\"a\": {\n\"b\": 1,\n\"b\": 2}}", true));
        CPPUNIT_ASSERT(
            firstProblem("{\n\"a\": 1,\n}", true).starts_with("a.yaml:3: malformed JSON: "));
        CPPUNIT_ASSERT(firstProblem("{\"a\": 1} x", true).starts_with("a.yaml:1: malformed"));
        CPPUNIT_ASSERT(firstProblem("", true).find("malformed JSON") != std::string::npos);
    }

    void testAParsedValueGivesTheSameTree()
    {
        std::vector<Problem> problems;
        const std::string json = R"({"a":[1,-2,2.5,true,null,"x",4294967296,18446744073709551615,)"
                                 R"(-4294967296],"b":{"c":"\n\"\\"},"d":"007"})";
        const auto node = documentOf(value(json), problems);
        CPPUNIT_ASSERT(problems.empty());
        CPPUNIT_ASSERT_EQUAL(json, jsonOf(*node));
        CPPUNIT_ASSERT(node->items[2].kind == Kind::String);
        CPPUNIT_ASSERT_EQUAL(0, node->line);
    }

    void testAParsedValueIsHeldToTheSameLimits()
    {
        const auto problem = [](const std::string& json)
        {
            std::vector<Problem> problems;
            documentOf(value(json), problems);
            return problems.empty() ? "" : problems.front().describe();
        };
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             problem(R"({"a":")" + std::string(200'000, 'x') + "\"}"));
        CPPUNIT_ASSERT_EQUAL(std::string("longer than 262144 bytes"),
                             problem(R"({"a":")" + std::string(262'144, 'x') + "\"}"));
        CPPUNIT_ASSERT_EQUAL(std::string("nested deeper than 32"),
                             problem(std::string(33, '[') + std::string(33, ']')));
        std::string many = "[0";
        for (int i = 0; i < 10'000; ++i)
            many += ",0";
        CPPUNIT_ASSERT_EQUAL(std::string("more than 10000 values"), problem(many + "]"));
        CPPUNIT_ASSERT_EQUAL(std::string("a.b: this key is here twice"),
                             problem(R"({"a":{"b":1,"b":2}})"));
        CPPUNIT_ASSERT_EQUAL(std::string("a: holds a control character"),
                             problem(R"({"a":"\u001b"})"));
    }

    /// Whatever the bytes are: a tree or a problem, and no exception.
    void testSurvivesDamagedDocuments()
    {
        const std::string whole =
            "a: &x [1, 'two', \"three\\n\"]\nb: {c: *x, d: |\n   text\n }\n? e\n"
            ": >-\n  f\n  g\n--- !!str h\n%YAML 1.2\n<<: *x\n- [}: #i\n";
        std::mt19937 random(7);
        for (int round = 0; round < 20'000; ++round)
        {
            std::string text = whole;
            for (int i = 0; i < 4; ++i)
            {
                const std::size_t at = random() % text.size();
                if (random() % 3 == 0)
                    text.erase(at, random() % 9);
                else
                    text[at] = "[]{}:,-?*&!|>'\"#%@` \n\tab0\\"[random() % 27];
            }
            std::vector<Problem> problems;
            const bool read = parseYaml(text, "f", problems).has_value();
            CPPUNIT_ASSERT_MESSAGE(text, read || !problems.empty());
        }
    }

    void testSuggestsNearKeysOnly()
    {
        const std::vector<std::string_view> known{"timeout", "silence", "on", "with"};
        CPPUNIT_ASSERT_EQUAL(std::string(", did you mean 'timeout'?"), suggestion("timeot", known));
        CPPUNIT_ASSERT_EQUAL(std::string(", did you mean 'timeout'?"),
                             suggestion("TIMEOUT", known));
        CPPUNIT_ASSERT_EQUAL(std::string(", did you mean 'silence'?"),
                             suggestion("scilense", known));
        CPPUNIT_ASSERT_EQUAL(std::string(), suggestion("tmeot2x", known));
        CPPUNIT_ASSERT_EQUAL(std::string(), suggestion("xy", known));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DocumentTest);

} // namespace agent
