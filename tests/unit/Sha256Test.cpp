#include "agent/os/Sha256.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using agent::hmacSha256;
using agent::Sha256;
using agent::toHex;

/// Against what the standards print.
class Sha256Test: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(Sha256Test);
    CPPUNIT_TEST(testTheExamplesOfTheStandard);
    CPPUNIT_TEST(testLengthsAroundABlock);
    CPPUNIT_TEST(testPiecesMakeTheSameDigest);
    CPPUNIT_TEST(testTheExamplesOfHmac);
    CPPUNIT_TEST_SUITE_END();

    static std::string digestOf(std::string_view text, std::size_t piece = 1UL << 20)
    {
        Sha256 sum;
        for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
            sum.update(text.substr(0, piece));
        return toHex(sum.digest());
    }

    static void assertEqual(const std::string& expected, const std::string& found)
    {
        CPPUNIT_ASSERT_EQUAL(expected, found);
    }

public:
    /// Source: FIPS 180-2, appendix B.
    void testTheExamplesOfTheStandard()
    {
        assertEqual("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    digestOf(""));
        assertEqual("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                    digestOf("abc"));
        assertEqual("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                    digestOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
        assertEqual("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                    digestOf(std::string(1'000'000, 'a')));
    }

    /// Where the length still fits behind the message, and where it does not. Made by sha256sum(1).
    void testLengthsAroundABlock()
    {
        assertEqual("eb2c86e932179f4ba13fe8715a26124b77d6bad290b9b4c1cc140cf633300c19",
                    digestOf(std::string(55, 'b')));
        assertEqual("a5fc6e203a4c2b657d0d153885932414b2ffc6a93f0f8bf8b3183315e5a7212c",
                    digestOf(std::string(56, 'b')));
        assertEqual("94e419fabac7f930810f9636354042f8c1426d2f834d4ab65c93dc1e69326b13",
                    digestOf(std::string(63, 'b')));
        assertEqual("a0fab1377f49a759b57f63318262ebe89fabfc990e8e93ceac2984561482b9d4",
                    digestOf(std::string(64, 'b')));
        assertEqual("74b128f30cf83de43ddf4aafc40c7b50a7443d3c73a89a7cfca17e15e43d51ab",
                    digestOf(std::string(65, 'b')));
        assertEqual("68297a9eb141ce16bbc0847da1c0c48e2858704feaa13993bde29f87a198a6e1",
                    digestOf(std::string(119, 'b')));
        assertEqual("392add47fbaa8197a874ebe770a947a26dd6f2becce5f64688cc4d18c9da93bd",
                    digestOf(std::string(120, 'b')));
    }

    void testPiecesMakeTheSameDigest()
    {
        const std::string text(1000, 'x');
        for (const std::size_t piece : {1, 3, 63, 64, 65, 127, 999})
            assertEqual(digestOf(text), digestOf(text, piece));
    }

    /// Source: RFC 4231, cases 1, 2, 3 and 6.
    void testTheExamplesOfHmac()
    {
        assertEqual("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    toHex(hmacSha256(std::string(20, '\x0b'), "Hi There")));
        assertEqual("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    toHex(hmacSha256("Jefe", "what do ya want for nothing?")));
        assertEqual("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                    toHex(hmacSha256(std::string(20, '\xaa'), std::string(50, '\xdd'))));
        assertEqual("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                    toHex(hmacSha256(std::string(131, '\xaa'),
                                     "Test Using Larger Than Block-Size Key - Hash Key First")));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(Sha256Test);
