#include "agent/run/OrderBuilder.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <sys/stat.h>

namespace agent
{

namespace
{

using Outputs = std::map<std::string, std::string>;

void assertOutputs(const Outputs& expected, const Outputs& actual)
{
    const auto text = [](const Outputs& outputs)
    {
        std::string lines;
        for (const auto& [name, value] : outputs)
            lines.append(name).append("=").append(value).append("\n");
        return lines;
    };
    CPPUNIT_ASSERT_EQUAL(text(expected), text(actual));
}

/// What the std::runtime_error of `call` says.
std::string errorOf(const std::function<void()>& call)
{
    try
    {
        call();
    }
    catch (const std::runtime_error& error)
    {
        return error.what();
    }
    return "no error";
}

void assertHolds(const std::string& part, const std::string& whole)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' in: " + whole, whole.find(part) != std::string::npos);
}

} // namespace

/// The files that come from outside the agent: the operator's secrets and a plugin's outputs.
class StageFilesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StageFilesTest);
    CPPUNIT_TEST(testReadsSecrets);
    CPPUNIT_TEST(testStripsOneNewlineOfASecret);
    CPPUNIT_TEST(testRefusesSecretsByName);
    CPPUNIT_TEST(testASecretIsReadAnew);
    CPPUNIT_TEST(testReadsOutputs);
    CPPUNIT_TEST(testWithoutAFileThereAreNoOutputs);
    CPPUNIT_TEST(testRefusesOutputsThatAreNone);
    CPPUNIT_TEST(testRefusesOutputsThatAreTooLarge);
    CPPUNIT_TEST(testRefusesOutputsThatAreNoRegularFile);
    CPPUNIT_TEST(testOutputsComeBackFromTheRecord);
    CPPUNIT_TEST(testOutputsThatEndWithinACharacterAreRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsSecrets()
    {
        const FilesFolder files;
        files.writePrivate("TOKEN", "s3cret");
        files.writePrivate("KEY", "two\nlines");
        const Secrets expected{{"KEY", "two\nlines"}, {"TOKEN", "s3cret"}};
        CPPUNIT_ASSERT(expected == readSecrets({"KEY", "TOKEN"}, files.path()));
        CPPUNIT_ASSERT(readSecrets({}, files.path()).empty());
    }

    void testStripsOneNewlineOfASecret()
    {
        const FilesFolder files;
        files.writePrivate("ONE", "abcd\n");
        files.writePrivate("TWO", "abcd\n\n");
        const Secrets expected{{"ONE", "abcd"}, {"TWO", "abcd\n"}};
        CPPUNIT_ASSERT(expected == readSecrets({"ONE", "TWO"}, files.path()));
    }

    void testRefusesSecretsByName()
    {
        const FilesFolder files;
        files.writePrivate("EMPTY", "");
        files.writePrivate("SHORT", "abc\n");
        files.writePrivate("BINARY", std::string("abcd\0efgh", 9));
        files.writePrivate("LARGE", std::string((64 << 10) + 1, 'x'));
        files.write("LOOSE", "abcdefgh");
        files.write("target", "abcdefgh");
        std::filesystem::create_symlink(files.path() / "target", files.path() / "LINK");
        std::filesystem::create_directory(files.path() / "FOLDER");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((files.path() / "PIPE").c_str(), 0600));
        const std::map<std::string, std::string> wrong{
            {"MISSING", "No such file"},
            {"EMPTY", "shorter than 4"},
            {"SHORT", "shorter than 4"},
            {"BINARY", "holds a NUL"},
            {"LARGE", "larger than"},
            {"LINK", "is a symbolic link"},
            {"FOLDER", "not a regular"},
            {"PIPE", "not a regular"},
            {"LOOSE", "its mode 0644 lets others than its owner use it: chmod 0600 "}};
        for (const auto& [name, what] : wrong)
        {
            const auto said = errorOf([&, secret = name] { readSecrets({secret}, files.path()); });
            assertHolds("secret '" + name + "' (" + (files.path() / name).string() + "): ", said);
            assertHolds(what, said);
        }
    }

    void testASecretIsReadAnew()
    {
        const FilesFolder files;
        files.writePrivate("TOKEN", "first");
        CPPUNIT_ASSERT_EQUAL(std::string("first"), readSecrets({"TOKEN"}, files.path())[0].second);
        files.writePrivate("TOKEN", "second");
        CPPUNIT_ASSERT_EQUAL(std::string("second"), readSecrets({"TOKEN"}, files.path())[0].second);
    }

    void testReadsOutputs()
    {
        const FilesFolder files;
        const auto file =
            files.write("outputs.json", R"({"tag":"1.2", "text":"ä\n\"x\"", "e":""})");
        assertOutputs({{"tag", "1.2"}, {"text", "ä\n\"x\""}, {"e", ""}}, readOutputs(file));
        files.write("outputs.json", "{}");
        CPPUNIT_ASSERT(readOutputs(file).empty());
    }

    void testWithoutAFileThereAreNoOutputs()
    {
        const FilesFolder files;
        CPPUNIT_ASSERT(readOutputs(files.path() / "outputs.json").empty());
        CPPUNIT_ASSERT(readOutputs(files.write("outputs.json", "")).empty());
    }

    void testRefusesOutputsThatAreNone()
    {
        const FilesFolder files;
        const std::map<std::string, std::string> wrong{
            {" ", "not a JSON object"},
            {"[]", "not a JSON object"},
            {"\"text\"", "not a JSON object"},
            {"{\"tag\":\"1.2\"", "not a JSON object"},
            {"{} {}", "not a JSON object"},
            {"{\"tag\":\"\xff\"}", "not a JSON object"},
            {std::string(60'000, '['), "not a JSON object"},
            {R"({"tag":1})", "'tag' is no string"},
            {R"({"tag":null})", "'tag' is no string"},
            {R"({"tag":{"a":"b"}})", "'tag' is no string"},
            {R"({"tag":"a\u0000b"})", "'tag' holds a NUL"}};
        for (const auto& [json, what] : wrong)
        {
            const auto file = files.write("outputs.json", json);
            const auto said = errorOf([&] { readOutputs(file); });
            assertHolds("the file of $STAGE_OUTPUTS can't be used: ", said);
            assertHolds(what, said);
        }
    }

    void testRefusesOutputsThatAreTooLarge()
    {
        const FilesFolder files;
        const std::size_t limit = 64 << 10;
        const std::string around = R"({"a":""})";
        const std::string most = R"({"a":")" + std::string(limit - around.size(), 'x') + "\"}";
        const auto file = files.write("outputs.json", most);
        CPPUNIT_ASSERT_EQUAL(limit - around.size(), readOutputs(file).at("a").size());
        files.write("outputs.json", most + " ");
        assertHolds("larger than 65536 bytes", errorOf([&] { readOutputs(file); }));
    }

    /// A stage could make the agent read any file of its user, or wait at a pipe for ever.
    void testRefusesOutputsThatAreNoRegularFile()
    {
        const FilesFolder files;
        const auto target = files.write("target", R"({"a":"b"})");
        const auto link = files.path() / "link";
        std::filesystem::create_symlink(target, link);
        CPPUNIT_ASSERT(errorOf([&] { readOutputs(link); }) != "no error");
        const auto dangling = files.path() / "dangling";
        std::filesystem::create_symlink(files.path() / "nowhere", dangling);
        CPPUNIT_ASSERT(errorOf([&] { readOutputs(dangling); }) != "no error");
        const auto pipe = files.path() / "pipe";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        assertHolds("not a regular file", errorOf([&] { readOutputs(pipe); }));
        assertHolds("not a regular file", errorOf([&] { readOutputs(files.path()); }));
    }

    void testOutputsComeBackFromTheRecord()
    {
        const Outputs outputs{{"tag", "1.2"}, {"quote \"", "a\\b\n\t\x01ä€😀"}, {"e", ""}};
        assertOutputs(outputs, outputsFromJson(outputsToJson(outputs)));
        CPPUNIT_ASSERT_EQUAL(std::string(), outputsToJson({}));
        CPPUNIT_ASSERT(outputsFromJson("").empty());
    }

    /// Symptom: the agent read up to three bytes past the end of the file's text. Cause: RapidJSON's check
    /// of UTF-8. Found by body-fuzz; seen under ASan only.
    void testOutputsThatEndWithinACharacterAreRefused()
    {
        for (const char* end : {"\xf2", "\xf2\x80", "\xe2", "\xc3"})
            CPPUNIT_ASSERT(errorOf(
                               [&] {
                                   outputsFromJson(R"({"some output":"and its value)" +
                                                   std::string(end));
                               }) != "no error");
        CPPUNIT_ASSERT(errorOf([] { outputsFromJson(std::string("{}\0x", 4)); }) != "no error");
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StageFilesTest);

} // namespace agent
