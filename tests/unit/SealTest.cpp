#include "agent/wire/Order.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

using agent::Outcome;
using agent::Seal;

/// Whose file an attempt's file is (wire/Seal.h).
class SealTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SealTest);
    CPPUNIT_TEST(testProvesWhatItsHolderWrote);
    CPPUNIT_TEST(testRefusesEveryChangedByte);
    CPPUNIT_TEST(testRefusesWhatFollowsOrIsMissing);
    CPPUNIT_TEST(testRefusesTheFileOfAnotherAttemptNameOrKey);
    CPPUNIT_TEST(testAnOutcomeHasItsChecksumLast);
    CPPUNIT_TEST(testNoneProvesEverythingAndAddsNothing);
    CPPUNIT_TEST(testGoesThroughItsText);
    CPPUNIT_TEST(testKeysAreNew);
    CPPUNIT_TEST_SUITE_END();

    const std::string _key = Seal::newKey();
    const Seal _seal{_key, "stage.1"};
    const std::string _file = _seal.on("order.json", R"({"version":1,"text":"one"})");

public:
    void testProvesWhatItsHolderWrote()
    {
        CPPUNIT_ASSERT(_file.starts_with(R"({"version":1,"text":"one","mac":")"));
        CPPUNIT_ASSERT(_seal.proves("order.json", _file));
        CPPUNIT_ASSERT(Seal(_key, "stage.1").proves("order.json", _file));
    }

    void testRefusesEveryChangedByte()
    {
        for (std::size_t i = 0; i < _file.size(); ++i)
        {
            std::string changed = _file;
            changed[i] ^= 1;
            CPPUNIT_ASSERT_MESSAGE(changed, !_seal.proves("order.json", changed));
        }
    }

    void testRefusesWhatFollowsOrIsMissing()
    {
        for (std::size_t size = 0; size < _file.size(); ++size)
            CPPUNIT_ASSERT(!_seal.proves("order.json", _file.substr(0, size)));
        const std::string open = _file.substr(0, _file.size() - 1);
        for (const char* end :
             {R"(,"text":"two"})", R"(,"crc32c":"0"})", "}}", "} ", "", R"(,"mac":"00"})"})
            CPPUNIT_ASSERT_MESSAGE(end, !_seal.proves("order.json", open + end));
        CPPUNIT_ASSERT(!_seal.proves("order.json", R"({"version":1,"text":"one"})"));
        CPPUNIT_ASSERT(!_seal.proves("order.json", R"({"version":1,"mac":""})"));
    }

    void testRefusesTheFileOfAnotherAttemptNameOrKey()
    {
        CPPUNIT_ASSERT(!_seal.proves("outcome.json", _file));
        CPPUNIT_ASSERT(!Seal(_key, "stage.2").proves("order.json", _file));
        CPPUNIT_ASSERT(!Seal(Seal::newKey(), "stage.1").proves("order.json", _file));
    }

    void testAnOutcomeHasItsChecksumLast()
    {
        const std::string json = agent::toJson(Outcome{.exitCode = 3}, _seal);
        CPPUNIT_ASSERT(json.find(R"(,"mac":")") < json.find(R"(,"crc32c":")"));
        CPPUNIT_ASSERT(_seal.proves("outcome.json", json));
        const auto read = agent::outcomeFrom(json);
        CPPUNIT_ASSERT(read && read->checked);
        // One that was made without the key has a right checksum, and is refused.
        CPPUNIT_ASSERT(!_seal.proves("outcome.json", agent::toJson(Outcome{.exitCode = 0})));
        CPPUNIT_ASSERT(!_seal.proves(
            "outcome.json", agent::toJson(Outcome{.exitCode = 0}, Seal("guessed", "stage.1"))));
    }

    void testNoneProvesEverythingAndAddsNothing()
    {
        const Seal none;
        CPPUNIT_ASSERT(none.none() && none.proves("order.json", "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), none.on("order.json", "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string(), none.text());
        CPPUNIT_ASSERT(Seal::fromText("").none());
        CPPUNIT_ASSERT(agent::sealOf(agent::Stage{.id = "stage", .attempt = 1}).none());
    }

    void testGoesThroughItsText()
    {
        const Seal handed = Seal::fromText(_seal.text());
        CPPUNIT_ASSERT(!handed.none() && handed.proves("order.json", _file));
        agent::Stage stage{.id = "stage", .attempt = 1};
        stage.sealKey = _key;
        CPPUNIT_ASSERT(agent::sealOf(stage).proves("order.json", _file));
        CPPUNIT_ASSERT_EQUAL(std::string::npos, _seal.text().find('\0')); // it ends the memfd
    }

    void testKeysAreNew()
    {
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, _key.size());
        CPPUNIT_ASSERT(Seal::newKey() != Seal::newKey());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SealTest);
