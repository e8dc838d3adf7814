#include "agent/model/Masker.h"
#include "agent/model/SecretEncodings.h"
#include "tests/support/NaiveMasker.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <stdexcept>

namespace
{

using agent::Masker;

std::string maskedIn(const std::vector<std::string>& secrets,
                     const std::vector<std::string>& chunks)
{
    Masker masker(secrets);
    std::string out;
    for (const std::string& chunk : chunks)
        masker.feed(chunk, out);
    masker.flush(out);
    return out;
}

} // namespace

class MaskerTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(MaskerTest);
    CPPUNIT_TEST(testPassesEverythingWithoutSecrets);
    CPPUNIT_TEST(testMasksOverEveryBorderOfChunks);
    CPPUNIT_TEST(testMasksAtEveryDistanceFromTheBeginning);
    CPPUNIT_TEST(testMasksSecretsThatOverlapThemselves);
    CPPUNIT_TEST(testTouchingAndOverlappingOccurrencesBecomeOneMask);
    CPPUNIT_TEST(testHoldsOnlyWhatMayBecomeASecret);
    CPPUNIT_TEST(testHeldBytesComeOutAtTheEnd);
    CPPUNIT_TEST(testANewStreamBeginsAfterTheFlush);
    CPPUNIT_TEST(testASecretMayBeAddedInTheMiddle);
    CPPUNIT_TEST(testRefusesShortSecrets);
    CPPUNIT_TEST(testMasksBase64AtEveryAlignment);
    CPPUNIT_TEST(testMasksEscapedForms);
    CPPUNIT_TEST(testMasksWhatIsBrokenIntoLines);
    CPPUNIT_TEST(testABreakThatNeverEndsIsNotHeld);
    CPPUNIT_TEST(testALineIsShownInAPauseAndItsRestMasked);
    CPPUNIT_TEST(testTellsSecretsThatMayBeWords);
    CPPUNIT_TEST(testMasksLinesOfASecretOfSeveralLines);
    CPPUNIT_TEST(testMasksBytesThatAreNoText);
    CPPUNIT_TEST(testAgreesWithThePlainReference);
    CPPUNIT_TEST_SUITE_END();

    static void assertMasked(const std::string& expected, const std::string& secret,
                             const std::string& text)
    {
        CPPUNIT_ASSERT_EQUAL(expected, maskedIn({secret}, {text}));
    }

    void testPassesEverythingWithoutSecrets()
    {
        Masker masker({});
        std::string out = "before ";
        masker.feed(std::string("a\0b", 3), out);
        CPPUNIT_ASSERT_EQUAL(std::string("before a\0b", 10), out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), masker.held());
    }

    void testMasksOverEveryBorderOfChunks()
    {
        const std::string text = "token=swordfish, again swordfish.";
        for (std::size_t first = 0; first <= text.size(); ++first)
            for (std::size_t second = first; second <= text.size(); ++second)
                CPPUNIT_ASSERT_EQUAL(std::string("token=***, again ***."),
                                     maskedIn({"swordfish"}, {text.substr(0, first),
                                                              text.substr(first, second - first),
                                                              text.substr(second)}));
    }

    void testMasksAtEveryDistanceFromTheBeginning()
    {
        // Past what is looked through at a stride, and past a slice of 64 KiB.
        for (const std::size_t most : {std::size_t{40}, std::size_t{65536 + 20}})
            for (std::size_t before = most - 40; before <= most; ++before)
                for (const std::string tail : {"", "s", "swordfis", " and a long line after it"})
                {
                    const std::string text = std::string(before, 'w') + "swordfish" + tail;
                    const std::string expected = std::string(before, 'w') + "***" + tail;
                    CPPUNIT_ASSERT_EQUAL(expected, maskedIn({"swordfish"}, {text}));
                    CPPUNIT_ASSERT_EQUAL(
                        expected, maskedIn({"swordfish"},
                                           {text.substr(0, before + 2), text.substr(before + 2)}));
                }
    }

    // Symptom: `aab` in `aa|ab` and `ababac` in `abab|abac` stood in the log. Cause: after a partial match
    // the matcher fell back to the pattern's first byte. Bound: none of the secret's bytes comes out.
    void testMasksSecretsThatOverlapThemselves()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a***"), maskedIn({"aaab"}, {"aa", "aab"}));
        CPPUNIT_ASSERT_EQUAL(std::string("ab***"), maskedIn({"ababac"}, {"abab", "abac"}));
        CPPUNIT_ASSERT_EQUAL(std::string("***"), maskedIn({"abcabcab"}, {"abcabcabcab", "cab"}));
    }

    void testTouchingAndOverlappingOccurrencesBecomeOneMask()
    {
        assertMasked("***", "abcd", "abcdabcd");
        CPPUNIT_ASSERT_EQUAL(std::string("***"), maskedIn({"abcd"}, {"abcd", "abcd"}));
        CPPUNIT_ASSERT_EQUAL(std::string("<***>"), maskedIn({"abcd", "cdef"}, {"<abcd", "ef>"}));
        CPPUNIT_ASSERT_EQUAL(std::string("<***>"), maskedIn({"bcde", "abcdef"}, {"<abcd", "ef>"}));
        CPPUNIT_ASSERT_EQUAL(std::string("<a***f>"),
                             maskedIn({"bcde", "abcdeg"}, {"<abcde", "f>"}));
        assertMasked("*** ***", "abcd", "abcd abcd");
    }

    void testHoldsOnlyWhatMayBecomeASecret()
    {
        Masker masker({"swordfish"});
        std::string out;
        masker.feed("no word of it; a sw", out);
        CPPUNIT_ASSERT_EQUAL(std::string("no word of it; a "), out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), masker.held());
        masker.feed("ordfis", out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(8), masker.held());
        masker.feed("h", out);
        CPPUNIT_ASSERT_EQUAL(std::string("no word of it; a ***"), out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), masker.held());

        // A longer secret may still begin here, but it would not begin before the shorter one.
        Masker longer({"aaaa", "aaaaaabb"});
        out.clear();
        longer.feed("aaaa", out);
        longer.feed("a", out);
        CPPUNIT_ASSERT_EQUAL(std::string("***"), out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), longer.held());
    }

    void testHeldBytesComeOutAtTheEnd()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("swordfis"), maskedIn({"swordfish"}, {"sword", "fis"}));
        CPPUNIT_ASSERT_EQUAL(std::string("a***f"), maskedIn({"bcde", "abcdefgh"}, {"abcdef"}));
    }

    void testANewStreamBeginsAfterTheFlush()
    {
        Masker masker({"swordfish"});
        std::string out;
        masker.feed("sword", out);
        masker.flush(out);
        masker.feed("fish swordfish", out);
        masker.flush(out);
        masker.feed("swordfish", out);
        CPPUNIT_ASSERT_EQUAL(std::string("swordfish ******"), out);
    }

    void testASecretMayBeAddedInTheMiddle()
    {
        Masker masker({"swordfish"});
        std::string out;
        masker.feed("bait swo", out);
        masker.add("bait");
        masker.add("swordfish-and-chips");
        masker.feed("rdfish bait", out);
        masker.flush(out);
        CPPUNIT_ASSERT_EQUAL(std::string("bait *** ***"), out);
    }

    void testRefusesShortSecrets()
    {
        CPPUNIT_ASSERT_THROW(Masker({"long enough", "abc"}), std::invalid_argument);
        Masker masker({});
        CPPUNIT_ASSERT_THROW(masker.add(""), std::invalid_argument);
        CPPUNIT_ASSERT_THROW(masker.add("abc"), std::invalid_argument);
    }

    void testMasksBase64AtEveryAlignment()
    {
        // base64 of "p4ss?wörd>!" after no, one and two other bytes, and before one more.
        const std::string secret = "p4ss?w\xC3\xB6rd>!";
        assertMasked("***", secret, "cDRzcz93w7ZyZD4h");
        assertMasked("eH***Xk=", secret, "eHA0c3M/d8O2cmQ+IXk=");
        assertMasked("eHh***F5", secret, "eHhwNHNzP3fDtnJkPiF5");
        assertMasked("eH***Xk=", secret, "eHA0c3M_d8O2cmQ-IXk=");
    }

    void testMasksEscapedForms()
    {
        const std::string secret = "p@ss \"w\xC3\xB6rd\"/it's<1>\\";
        for (const char* form :
             {"70407373202277c3b67264222f697427733c313e5c",
              "70407373202277C3B67264222F697427733C313E5C",
              "p%40ss%20%22w%C3%B6rd%22%2Fit%27s%3C1%3E%5C",
              "p%40ss%20%22w%c3%b6rd%22%2fit%27s%3c1%3e%5c",
              "p%40ss+%22w%C3%B6rd%22%2Fit%27s%3C1%3E%5C",
              "p%40ss%20%22w%C3%B6rd%22%2Fit's%3C1%3E%5C", "p@ss \\\"w\xC3\xB6rd\\\"/it's<1>\\\\",
              "p@ss \\\"w\xC3\xB6rd\\\"\\/it's<1>\\\\", "p@ss \\\"w\\u00f6rd\\\"/it's<1>\\\\",
              "p@ss \\\"w\xC3\xB6rd\\\"/it's\\u003c1\\u003e\\\\",
              "p@ss \"w\xC3\xB6rd\"/it'\\''s<1>\\",
              "p@ss &quot;w\xC3\xB6rd&quot;/it&apos;s&lt;1&gt;\\"})
            assertMasked("[***]", secret, "[" + std::string(form) + "]");
    }

    /// The breaks stay.
    void testMasksWhatIsBrokenIntoLines()
    {
        const std::string secret = "an 0rdinary s3cret that is long";
        const std::string before(60, 'A');
        for (const std::string end : {"\n", "\r\n"})
        {
            assertMasked(before + "***" + end + "***w", secret,
                         before + "YW4gMHJkaW5hcnkg" + end + "czNjcmV0IHRoYXQgaXMgbG9uZw");
            assertMasked(before + "***" + end + "***", secret,
                         before + "616e20307264" + end +
                             "696e617279207333637265742074686174206973206c6f6e67");
        }
        std::string dump = " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 61 6e\n"
                           " 20 30 72 64 69 6e 61 72 79 20 73 33 63 72 65 74\n"
                           " 20 74 68 61 74 20 69 73 20 6c 6f 6e 67 00 00\n";
        assertMasked(" 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ***\n***\n*** 00 00\n", secret,
                     dump);
        // A line that no encoder has broken is one of its own.
        assertMasked("YW4gMHJkaW5hcnkg\nczNjcmV0IHRoYXQgaXMgbG9uZw", secret,
                     "YW4gMHJkaW5hcnkg\nczNjcmV0IHRoYXQgaXMgbG9uZw");
    }

    /// Symptom: all output behind a line of base64 was held in memory. Cause: every blank and line end belonged to the
    /// break behind it. Bound: a break has 256 bytes.
    void testABreakThatNeverEndsIsNotHeld()
    {
        const std::string secret = "an 0rdinary s3cret that is long";
        const std::string line = std::string(24, 'A') + "YW4gMHJk";
        for (const std::string& more :
             {std::string("\n"), std::string("\r\n"), std::string(24, ' ') + "\n"})
        {
            Masker masker({secret});
            std::string in = line + "\n";
            std::string out;
            masker.feed(in, out);
            for (int i = 0; i < 10'000; ++i, in += more)
            {
                masker.feed(more, out);
                CPPUNIT_ASSERT(masker.held() < 512);
            }
            in += "end\n";
            masker.feed("end\n", out);
            CPPUNIT_ASSERT_EQUAL(in.size(), out.size() + masker.held());
            masker.flush(out);
            CPPUNIT_ASSERT(in == out);
        }
        // What goes on over more than 256 bytes is none; over fewer it is.
        const std::string rest = "aW5hcnkgczNjcmV0IHRoYXQgaXMgbG9uZw";
        const std::string far(300, '\n');
        assertMasked(line + far + rest, secret, line + far + rest);
        const std::string near(200, '\n');
        assertMasked(std::string(24, 'A') + "***" + near + "***w", secret, line + near + rest);
    }

    void testALineIsShownInAPauseAndItsRestMasked()
    {
        const std::string secret = "an 0rdinary s3cret that is long";
        const std::string before(30, 'A');
        Masker masker({secret});
        std::string out;
        masker.feed(before + "YW4gMHJk\n", out);
        CPPUNIT_ASSERT_EQUAL(before, out);
        CPPUNIT_ASSERT(masker.showable());
        masker.show(out);
        CPPUNIT_ASSERT_EQUAL(before + "YW4gMHJk\n", out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), masker.held());
        CPPUNIT_ASSERT(!masker.showable());
        masker.feed("aW5hcnkgczNjcmV0IHRoYXQgaXMgbG9uZw", out);
        masker.flush(out);
        CPPUNIT_ASSERT_EQUAL(before + "YW4gMHJk\n***w", out);
        // Of a form of which more stands there nothing is shown, nor where it may go on without a break.
        Masker other({secret});
        other.feed(before + "YW4gMHJkaW5hcnkg\n", out);
        CPPUNIT_ASSERT(!other.showable());
        Masker plain({secret});
        plain.feed("an 0rd", out);
        CPPUNIT_ASSERT(plain.held() > 0 && !plain.showable());
    }

    void testTellsSecretsThatMayBeWords()
    {
        for (const char* word : {"test", "ADMIN", "1234567", "secretx"})
            CPPUNIT_ASSERT_MESSAGE(word, agent::mayBeAWord(word));
        for (const char* secret : {"password", "Test", "a1b2c3", "test-", "12345678"})
            CPPUNIT_ASSERT_MESSAGE(secret, !agent::mayBeAWord(secret));
    }

    void testMasksLinesOfASecretOfSeveralLines()
    {
        const std::string secret = "first line\r\nxyz\nlast line";
        assertMasked("***", secret, secret);
        assertMasked("a *** b\r\n", secret, "a first line b\r\n");
        assertMasked("***\r\nxyz\r\n***\r\n", secret, "first line\r\nxyz\r\nlast line\r\n");
    }

    void testMasksBytesThatAreNoText()
    {
        const std::string secret("\0\xFF\x80\n\0", 5);
        CPPUNIT_ASSERT_EQUAL(
            std::string("\0***\xFF", 5),
            maskedIn({secret}, {std::string("\0\0\xFF", 3), std::string("\x80\n\0\xFF", 4)}));
    }

    void testAgreesWithThePlainReference()
    {
        const char* wanted = std::getenv("STAGE_AGENT_MASKER_CASES");
        const int cases = wanted != nullptr ? std::atoi(wanted) : 20000;
        std::mt19937 random(7); // NOLINT(bugprone-random-generator-seed): a failure must come again
        const auto below = [&random](std::size_t end) { return random() % end; };
        const auto word = [&](std::size_t length, std::size_t letters)
        {
            std::string text;
            for (std::size_t i = 0; i < length; ++i)
                text += static_cast<char>('a' + below(letters));
            return text;
        };

        // What costs is the making of a masker: each is used for several texts.
        constexpr int textsOfAMasker = 20;
        for (int done = 0; done < cases;)
        {
            const std::size_t letters = 1 + below(3);
            std::vector<std::string> secrets;
            for (std::size_t i = 1 + below(3); i > 0; --i)
                secrets.push_back(word(4 + below(5), letters));
            const NaiveMasker naive(secrets);
            Masker masker(secrets);
            for (int i = 0; i < textsOfAMasker && done < cases; ++i, ++done)
            {
                std::string text;
                for (std::size_t part = below(6); part > 0; --part)
                {
                    const std::string& form = naive.forms()[below(naive.forms().size())];
                    const std::size_t kind = below(5);
                    if (kind == 0) // no part of a secret
                        text += std::string(below(30), ' ');
                    else if (kind < 3)
                        text += word(below(12), letters);
                    else
                        text += form.substr(below(form.size()), 1 + below(12));
                }
                const std::string expected = naive.mask(text);
                for (std::size_t split = 0; split <= text.size(); ++split)
                {
                    std::string out;
                    masker.feed(std::string_view(text).substr(0, split), out);
                    if (split == done % (text.size() + 1))
                        CPPUNIT_ASSERT_EQUAL_MESSAGE(
                            text.substr(0, split),
                            naive.undecided(std::string_view(text).substr(0, split)),
                            masker.held());
                    masker.feed(std::string_view(text).substr(split), out);
                    masker.flush(out);
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(text, expected, out);
                }
            }
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MaskerTest);
