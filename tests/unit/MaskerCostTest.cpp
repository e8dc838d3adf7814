#include "agent/model/Masker.h"
#include "agent/model/SecretEncodings.h"
#include "tests/support/NaiveMasker.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>

namespace
{

using agent::Masker;
using agent::SecretSet;

constexpr std::string_view base64Letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Makes the same texts in each run: a failure must come again.
class Texts
{
public:
    std::string word(std::size_t length, std::string_view letters)
    {
        std::string text;
        for (std::size_t i = 0; i < length; ++i)
            text += letters[below(letters.size())];
        return text;
    }

    std::string binary(std::size_t length)
    {
        std::string text;
        for (std::size_t i = 0; i < length; ++i)
            text += static_cast<char>(below(256));
        return text;
    }

    std::vector<std::string> secrets(std::size_t count)
    {
        std::vector<std::string> result;
        for (std::size_t i = 0; i < count; ++i)
            result.push_back(
                word(8 + below(33), i % 2 == 0 ? base64Letters : "aeioutnr /&'\"<>$%~!(_)=?-"));
        return result;
    }

    std::string log(std::size_t length)
    {
        const std::vector<std::string> words = {
            "Building CXX object agent/store/", "-O2 -g ",
            "warning: unused variable ",        "Downloading https://repo.example/",
            "sha256:9f86d081884c7d659a2feaa0 ", "\n"};
        std::string text;
        while (text.size() < length)
            text += words[below(words.size())] + std::to_string(below(1000000));
        return text;
    }

    std::size_t below(std::size_t end) { return _random() % end; }

private:
    std::mt19937 _random{7}; // NOLINT(bugprone-random-generator-seed)
};

/// Feeds the text in pieces. Returns how many children and links were followed for it.
std::size_t work(SecretSet& secrets, std::string_view text, std::size_t piece)
{
    const std::uint64_t before = secrets.automaton().work();
    Masker masker(secrets);
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += piece)
    {
        out.clear();
        masker.feed(text.substr(at, piece), out);
    }
    masker.flush(out);
    return secrets.automaton().work() - before;
}

SecretSet setOf(const std::vector<std::string>& secrets)
{
    SecretSet set;
    for (const std::string& secret : secrets)
        set.add(secret);
    return set;
}

std::size_t bytesOfForms(const std::vector<std::string>& secrets)
{
    std::size_t bytes = 0;
    for (const std::string& secret : secrets)
        for (const std::string& form : agent::secretEncodings(secret))
            bytes += form.size();
    return bytes;
}

} // namespace

/// What masking costs is counted in steps of the automaton, not in time. What the filters cost depends on
/// the length of the text alone.
class MaskerCostTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(MaskerCostTest);
    CPPUNIT_TEST(testWalksOverLittleOfAnyLogWithAThousandSecrets);
    CPPUNIT_TEST(testIsLinearForASecretThatRepeatsItself);
    CPPUNIT_TEST(testIsLinearForSecretsThatAreSuffixesOfEachOther);
    CPPUNIT_TEST(testIsLinearForBeginningsOfSecrets);
    CPPUNIT_TEST(testIsLinearWhenSecretsAreAddedMeanwhile);
    CPPUNIT_TEST(testEncodesNothingBeforeTheFirstBytes);
    CPPUNIT_TEST(testManySecretsOfAllLengthsAgreeWithThePlainReference);
    CPPUNIT_TEST_SUITE_END();

    static void assertAtMost(std::size_t most, std::size_t actual)
    {
        CPPUNIT_ASSERT_MESSAGE(std::to_string(actual) + " steps, more than " + std::to_string(most),
                               actual <= most);
    }

    void testWalksOverLittleOfAnyLogWithAThousandSecrets()
    {
        Texts texts;
        SecretSet secrets = setOf(texts.secrets(1000));
        constexpr std::size_t size = 1000000;
        for (const std::string& text :
             {texts.log(size), texts.word(size, base64Letters),
              texts.word(size, "0123456789abcdef"), texts.binary(size), std::string(size, 'x')})
            assertAtMost(size / 50, work(secrets, text, 65536));
    }

    void testIsLinearForASecretThatRepeatsItself()
    {
        const std::vector<std::string> words = {std::string(3000, 'a') + "b", "aaaa",
                                                std::string(300, 'a') + "cd"};
        const std::string text(200000, 'a');
        for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, text.size()})
        {
            SecretSet secrets = setOf(words);
            assertAtMost(4 * (text.size() + bytesOfForms(words)), work(secrets, text, piece));
        }
    }

    void testIsLinearForSecretsThatAreSuffixesOfEachOther()
    {
        Texts texts;
        const std::string whole = texts.word(400, "ab");
        std::vector<std::string> words;
        for (std::size_t at = 0; at + 4 <= whole.size(); ++at)
            words.push_back(whole.substr(at));
        std::string text;
        while (text.size() < 200000)
            text += whole.substr(0, 399);
        for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}})
        {
            SecretSet secrets = setOf(words);
            assertAtMost(4 * (text.size() + bytesOfForms(words)), work(secrets, text, piece));
        }
    }

    void testIsLinearForBeginningsOfSecrets()
    {
        Texts texts;
        const std::vector<std::string> words = texts.secrets(100);
        const NaiveMasker naive(words);
        std::string text;
        while (text.size() < 500000)
        {
            const std::string& form = naive.forms()[texts.below(naive.forms().size())];
            text += form.substr(0, form.size() - texts.below(2));
        }
        SecretSet secrets = setOf(words);
        assertAtMost(4 * (text.size() + bytesOfForms(words)), work(secrets, text, 4096));
    }

    void testIsLinearWhenSecretsAreAddedMeanwhile()
    {
        // To add one costs what was linked before anew, so the bound is a walk over that for each.
        SecretSet secrets = setOf({std::string(100, 'a') + "b"});
        Masker masker(secrets);
        std::string out;
        for (int i = 0; i < 100; ++i)
        {
            masker.feed(std::string(1000, 'a'), out);
            masker.add("secret-" + std::to_string(i));
        }
        assertAtMost(4 * (100000 + 100 * bytesOfForms({std::string(100, 'a') + "b"})),
                     secrets.automaton().work());
    }

    void testEncodesNothingBeforeTheFirstBytes()
    {
        SecretSet secrets = setOf({"swordfish"});
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), secrets.automaton().nodes());
        Masker masker(secrets);
        std::string out;
        masker.feed("x", out);
        CPPUNIT_ASSERT(secrets.automaton().nodes() > 1);
    }

    void testManySecretsOfAllLengthsAgreeWithThePlainReference()
    {
        Texts texts;
        for (int round = 0; round < 30; ++round)
        {
            std::vector<std::string> words;
            for (std::size_t i = 0; i < 20; ++i)
                words.push_back(i % 4 == 3 ? texts.binary(4 + texts.below(12))
                                           : texts.word(4 + texts.below(20), "ab&\xFF"));
            const NaiveMasker naive(words);
            SecretSet secrets = setOf(words);
            Masker masker(secrets);
            for (int i = 0; i < 20; ++i)
            {
                std::string text;
                std::string out;
                for (std::size_t part = texts.below(20); part > 0; --part)
                {
                    const std::string& form = naive.forms()[texts.below(naive.forms().size())];
                    const std::string piece =
                        texts.below(3) == 0
                            ? texts.log(texts.below(40))
                            : form.substr(texts.below(2) * texts.below(form.size()));
                    masker.feed(piece, out);
                    text += piece;
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(text, naive.undecided(text), masker.held());
                }
                masker.flush(out);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(text, naive.mask(text), out);
            }
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MaskerCostTest);
