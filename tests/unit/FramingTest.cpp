#include "agent/api/Framing.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <random>
#include <string>
#include <vector>

namespace agent
{
namespace
{

const std::string host = "Host: a\r\n";

int statusOf(const std::string& bytes)
{
    const auto parsed = parseHead(bytes);
    const auto* refusal = std::get_if<Refusal>(&parsed);
    return refusal ? refusal->status : 200;
}

int statusOfLine(const std::string& requestLine)
{
    std::string bytes = requestLine;
    bytes.append("\r\n").append(host).append("\r\n");
    return statusOf(bytes);
}

int statusOfHeaders(const std::string& headers)
{
    return statusOf("POST /x HTTP/1.1\r\n" + host + headers + "\r\n");
}

Head accepted(const std::string& bytes)
{
    return std::get<Head>(parseHead(bytes));
}

HeadScanner::State scanAll(const std::string& bytes)
{
    HeadScanner scanner;
    return scanner.scan(bytes);
}

struct Decoded
{
    ChunkDecoder::State state{};
    std::string body;
    std::size_t used = 0;
};

Decoded decode(const std::string& bytes, std::size_t step, std::int64_t limit = 1000)
{
    Decoded result;
    ChunkDecoder decoder;
    while (result.used < bytes.size() && decoder.state() == ChunkDecoder::State::Partial)
        result.used += decoder.feed(
            std::string_view(bytes).substr(result.used, std::min(step, bytes.size() - result.used)),
            result.body, limit);
    result.state = decoder.state();
    return result;
}

} // namespace

class FramingTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FramingTest);
    CPPUNIT_TEST(testReadsAPlainHead);
    CPPUNIT_TEST(testRequestLineIsExact);
    CPPUNIT_TEST(testTargetIsOriginFormInPrintableAscii);
    CPPUNIT_TEST(testATargetMayBeAUrl);
    CPPUNIT_TEST(testOtherVersionsAre505);
    CPPUNIT_TEST(testHeaderNamesAreTokensBeforeTheColon);
    CPPUNIT_TEST(testFoldedLinesAreRefused);
    CPPUNIT_TEST(testHostStandsExactlyOnce);
    CPPUNIT_TEST(testContentLengthIsOneNumber);
    CPPUNIT_TEST(testTransferEncodingIsChunkedAlone);
    CPPUNIT_TEST(testConnectionHeaderDecidesAboutKeepAlive);
    CPPUNIT_TEST(testExpectIsOnlyContinue);
    CPPUNIT_TEST(testTooManyOrTooLongHeadersAre431);
    CPPUNIT_TEST(testScannerFindsTheEndAtEverySplit);
    CPPUNIT_TEST(testScannerRefusesAtOnceWhatIsNoHttp);
    CPPUNIT_TEST(testScannerBoundsHeadAndTarget);
    CPPUNIT_TEST(testChunksDecodeAtEverySplit);
    CPPUNIT_TEST(testChunkDecoderLeavesTheNextRequest);
    CPPUNIT_TEST(testMalformedChunksAreRefused);
    CPPUNIT_TEST(testChunkedBodyIsBounded);
    CPPUNIT_TEST(testMutatedHeadsNeverGetTwoMeanings);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsAPlainHead()
    {
        const std::string bytes =
            "PATCH /api/stages/1?a=b%20c HTTP/1.1\r\nHost: a\r\ncontent-length: 12 \r\nX:\r\n\r\n";
        const Head head = accepted(bytes);
        CPPUNIT_ASSERT_EQUAL(std::string("PATCH"), head.method);
        CPPUNIT_ASSERT_EQUAL(std::string("/api/stages/1?a=b%20c"), head.target);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{12}, head.contentLength);
        CPPUNIT_ASSERT_EQUAL(bytes.size(), head.size);
        CPPUNIT_ASSERT(head.keepAlive && head.version11 && !head.chunked && !head.expectContinue);
    }

    void testRequestLineIsExact()
    {
        for (const std::string line :
             {"GET /", "GET", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /  HTTP/1.1",
              " GET / HTTP/1.1", "G(T / HTTP/1.1", "GET / http/1.1", "GET / HTTP/1.10",
              "GET / HTTP/11", "GET /\tHTTP/1.1", "GET / x HTTP/1.1", "/ HTTP/1.1",
              "GET / XTTP/1.1"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(line, 400, statusOfLine(line));
        CPPUNIT_ASSERT_EQUAL(400, statusOfLine(std::string(33, 'A') + " / HTTP/1.1"));
    }

    void testTargetIsOriginFormInPrintableAscii()
    {
        for (const std::string& target :
             {std::string("ftp://a/"), std::string("http:///"), std::string("http://u@a/"),
              std::string("http:/a"), std::string("*"), std::string("a"), std::string("/a\0b", 4),
              std::string("/a\x01"), std::string("/\x7f"), std::string("/\xc3\xa4"),
              std::string("/a#b"), std::string("?a"), std::string("a:443")})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 400, statusOfLine("GET " + target + " HTTP/1.1"));
        const std::string longest(HeadScanner::targetLimit - 1, 'a');
        CPPUNIT_ASSERT_EQUAL(200, statusOfLine("GET /" + longest + " HTTP/1.1"));
        CPPUNIT_ASSERT_EQUAL(431, statusOfLine("GET /b" + longest + " HTTP/1.1"));
    }

    /// Symptom: clients that are told to use a proxy got 400. Bound: URL and Host name the same host.
    void testATargetMayBeAUrl()
    {
        for (const auto& [given, target] :
             std::vector<std::pair<std::string, std::string>>{{"http://b:7/x?y=1", "/x?y=1"},
                                                              {"HTTPS://b:7/x", "/x"},
                                                              {"http://b:7", "/"},
                                                              {"http://b:7?y", "/?y"},
                                                              {"http://b:7//x", "//x"}})
        {
            const auto parsed = parseHead("GET " + given + " HTTP/1.1\r\nHost: B:7\r\n\r\n");
            const Head* const head = std::get_if<Head>(&parsed);
            CPPUNIT_ASSERT_MESSAGE(given, head != nullptr);
            CPPUNIT_ASSERT_EQUAL(target, head->target);
            CPPUNIT_ASSERT_EQUAL(std::string("b:7"), head->headers.at("host"));
        }
        CPPUNIT_ASSERT(std::holds_alternative<Head>(parseHead("GET http://b/ HTTP/1.0\r\n\r\n")));
        for (const std::string host : {"other", "b", "b:70", "xb:7", "", "b:7\r\nHost: b:7"})
        {
            const auto parsed = parseHead("GET http://b:7/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
            const Refusal* const refusal = std::get_if<Refusal>(&parsed);
            CPPUNIT_ASSERT_MESSAGE(host, refusal != nullptr);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(host, 400, refusal->status);
        }
    }

    void testOtherVersionsAre505()
    {
        for (const std::string version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(version, 505, statusOfLine("GET / " + version));
        CPPUNIT_ASSERT_EQUAL(200, statusOf("GET / HTTP/1.0\r\n\r\n"));
    }

    void testHeaderNamesAreTokensBeforeTheColon()
    {
        for (const std::string header :
             {"NoColon", ": x", "A : x", "A\t: x", "A B: x", "A(: x", "\xc3: x", "A\"B: x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(header, 400, statusOfHeaders(header + "\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders(std::string("A: x\0y\r\n", 8)));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("A: x\x1by\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("A: x\ny\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("A: x\ry\r\n"));
        CPPUNIT_ASSERT_EQUAL(200, statusOfHeaders("A: \xc3\xa4\ty\r\n!#$%&'*+-.^_`|~1aZ: x\r\n"));
    }

    void testFoldedLinesAreRefused()
    {
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("A: x\r\n y\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("A: x\r\n\ty: z\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOf("GET / HTTP/1.1\r\n Host: a\r\n\r\n"));
    }

    void testHostStandsExactlyOnce()
    {
        CPPUNIT_ASSERT_EQUAL(400, statusOf("GET / HTTP/1.1\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("hOST: a\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOf("GET / HTTP/1.0\r\n" + host + host + "\r\n"));
    }

    void testContentLengthIsOneNumber()
    {
        for (const std::string value :
             {"", "-1", "+5", "5, 5", "5 5", "0x5", "5.0", "abc", "1e3", "9007199254740993",
              "99999999999999999999999999", "\xc2\xb2"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(value, 400,
                                         statusOfHeaders("Content-Length: " + value + "\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("Content-Length: 5\r\ncontent-length: 5\r\n"));
        CPPUNIT_ASSERT_EQUAL(200, statusOfHeaders("Content-Length: 9007199254740992\r\n"));
    }

    void testTransferEncodingIsChunkedAlone()
    {
        CPPUNIT_ASSERT_EQUAL(200, statusOfHeaders("Transfer-Encoding: Chunked\r\n"));
        for (const std::string value : {"xchunked", "gzip, chunked", "identity", "chunked, chunked",
                                        "", "chunked;q=1", "\"chunked\""})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(value, 501,
                                         statusOfHeaders("Transfer-Encoding: " + value + "\r\n"));
        const std::string chunked = "Transfer-Encoding: chunked\r\n";
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders(chunked + "Content-Length: 5\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("Content-Length: 0\r\n" + chunked));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders(chunked + chunked));
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders("Transfer-Encoding : chunked\r\n"));
        CPPUNIT_ASSERT_EQUAL(400, statusOf("POST / HTTP/1.0\r\n" + chunked + "\r\n"));
    }

    void testConnectionHeaderDecidesAboutKeepAlive()
    {
        const auto keepAlive = [](const std::string& version, const std::string& header)
        { return accepted("GET / HTTP/" + version + "\r\n" + host + header + "\r\n").keepAlive; };
        CPPUNIT_ASSERT(keepAlive("1.1", ""));
        CPPUNIT_ASSERT(!keepAlive("1.1", "Connection: Close\r\n"));
        CPPUNIT_ASSERT(!keepAlive("1.1", "Connection: TE , close\r\n"));
        CPPUNIT_ASSERT(!keepAlive("1.0", ""));
        CPPUNIT_ASSERT(keepAlive("1.0", "Connection: keep-alive\r\n"));
    }

    void testExpectIsOnlyContinue()
    {
        CPPUNIT_ASSERT_EQUAL(417, statusOfHeaders("Expect: 200-ok\r\n"));
        const std::string line = "Expect: 100-Continue\r\n";
        CPPUNIT_ASSERT_EQUAL(400, statusOfHeaders(line + line));
        const std::string bytes = "PUT / HTTP/1.1\r\n" + host + line + "A: b\r\n\r\n";
        const Head head = accepted(bytes);
        CPPUNIT_ASSERT(head.expectContinue);
    }

    void testTooManyOrTooLongHeadersAre431()
    {
        std::string headers;
        for (int i = 0; i < 99; ++i)
            headers += "A: b\r\n";
        CPPUNIT_ASSERT_EQUAL(200, statusOfHeaders(headers));
        CPPUNIT_ASSERT_EQUAL(431, statusOfHeaders(headers + "A: b\r\n"));
        CPPUNIT_ASSERT_EQUAL(431, statusOfHeaders("A: " + std::string(8193, 'b') + "\r\n"));
        CPPUNIT_ASSERT_EQUAL(431, statusOfHeaders(std::string(257, 'A') + ": b\r\n"));
    }

    void testScannerFindsTheEndAtEverySplit()
    {
        const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        const std::string bytes = head + std::string("\0rest", 5); // what follows is not looked at
        for (std::size_t split = 1; split < head.size(); ++split)
        {
            HeadScanner scanner;
            CPPUNIT_ASSERT(scanner.scan(bytes.substr(0, split)) == HeadScanner::State::Partial);
            CPPUNIT_ASSERT(scanner.scan(bytes) == HeadScanner::State::Whole);
            CPPUNIT_ASSERT_EQUAL(head.size(), scanner.size());
        }
    }

    void testScannerRefusesAtOnceWhatIsNoHttp()
    {
        for (const std::string& bytes :
             {std::string("\x16\x03\x01\x02", 4), std::string("\r\n"), std::string(" "),
              std::string("GET / HTTP/1.1\n"), std::string("GET / HTTP/1.1\r\nHost: a\n"),
              std::string("GET / HTTP/1.1\rH"), std::string("GET /\0", 6), std::string("GET /\x80"),
              std::string("G\x01"), std::string("GET / HTTP/1.1\r\nA: \x7f")})
            CPPUNIT_ASSERT(scanAll(bytes) == HeadScanner::State::Malformed);
    }

    void testScannerBoundsHeadAndTarget()
    {
        CPPUNIT_ASSERT(scanAll("GET /" + std::string(9000, 'a')) == HeadScanner::State::TooLarge);
        const std::string line = "GET / HTTP/1.1\r\nA: ";
        CPPUNIT_ASSERT(scanAll(line + std::string(HeadScanner::headLimit, 'a')) ==
                       HeadScanner::State::TooLarge);
        const std::string rest(HeadScanner::headLimit - line.size() - 4, 'a');
        CPPUNIT_ASSERT(scanAll(line + rest + "\r\n\r\n") == HeadScanner::State::Whole);
        CPPUNIT_ASSERT(scanAll(line + rest + "a\r\n\r\n") == HeadScanner::State::TooLarge);
    }

    void testChunksDecodeAtEverySplit()
    {
        const std::string bytes = "5\r\nhello\r\n00A;ext=\"v\"\r\n0123456789\r\n0\r\n\r\n";
        for (std::size_t step = 1; step <= bytes.size(); ++step)
        {
            const Decoded decoded = decode(bytes, step);
            CPPUNIT_ASSERT(decoded.state == ChunkDecoder::State::Done);
            CPPUNIT_ASSERT_EQUAL(std::string("hello0123456789"), decoded.body);
        }
    }

    void testChunkDecoderLeavesTheNextRequest()
    {
        const Decoded decoded = decode("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1", 100);
        CPPUNIT_ASSERT(decoded.state == ChunkDecoder::State::Done);
        CPPUNIT_ASSERT_EQUAL(std::size_t{11}, decoded.used);
    }

    void testMalformedChunksAreRefused()
    {
        for (const std::string bytes :
             {"\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "-5\r\n", "0x5\r\n", "g\r\n",
              "5\nhello\n", "5\r\nhelloX", "5\r\nhello\n", "0\r\nTrailer: x\r\n\r\n",
              "5;a\nb\r\nhello\r\n", "FFFFFFFFFFFFFFFFF\r\n", ";a\r\n"})
        {
            const Decoded decoded = decode(bytes, 1, std::int64_t{1} << 60);
            CPPUNIT_ASSERT_MESSAGE(bytes, decoded.state == ChunkDecoder::State::Malformed);
        }
        CPPUNIT_ASSERT(decode("1;" + std::string(300, 'a'), 7).state ==
                       ChunkDecoder::State::Malformed);
    }

    void testChunkedBodyIsBounded()
    {
        CPPUNIT_ASSERT(decode("3E8\r\n" + std::string(1000, 'a') + "\r\n0\r\n\r\n", 50).state ==
                       ChunkDecoder::State::Done);
        CPPUNIT_ASSERT(decode("3E9\r\n", 1).state == ChunkDecoder::State::TooLarge);
        const Decoded decoded = decode("1\r\na\r\n3E8\r\n", 1);
        CPPUNIT_ASSERT(decoded.state == ChunkDecoder::State::TooLarge);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, decoded.body.size());
    }

    /// Whatever a mutation makes: an accepted head has one framing, and nothing that two parsers read
    /// differently.
    void testMutatedHeadsNeverGetTwoMeanings()
    {
        const std::string seed = "POST /api/runs?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                 "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        const std::vector<std::string> parts = {"\r\n",        "\n",
                                                "\r",          std::string(1, '\0'),
                                                " ",           "\t",
                                                ":",           "Content-Length: 7\r\n",
                                                "Host: b\r\n", "Transfer-Encoding: chunked\r\n",
                                                ",",           "-",
                                                "HTTP/1.0",    "\x80",
                                                "chunked"};
        std::mt19937 random(20260101);
        const auto pick = [&](std::size_t n)
        { return std::uniform_int_distribution<std::size_t>(0, n)(random); };
        int accepts = 0;
        for (int round = 0; round < 50'000; ++round)
        {
            std::string bytes = seed;
            for (std::size_t n = pick(3); n-- > 0;)
                bytes.insert(pick(bytes.size()), parts[pick(parts.size() - 1)]);
            const std::size_t cut = pick(bytes.size() - 1);
            bytes.erase(cut, pick(40));
            HeadScanner scanner;
            if (scanner.scan(bytes) != HeadScanner::State::Whole)
                continue;
            const std::string whole = bytes.substr(0, scanner.size());
            const auto parsed = parseHead(whole);
            if (!std::holds_alternative<Head>(parsed))
                continue;
            ++accepts;
            const Head& head = std::get<Head>(parsed);
            CPPUNIT_ASSERT(!(head.chunked && head.contentLength > 0));
            CPPUNIT_ASSERT(!(head.chunked && !head.version11));
            CPPUNIT_ASSERT(whole.find("\n ") == std::string::npos);
            CPPUNIT_ASSERT(whole.find("\n\t") == std::string::npos);
            CPPUNIT_ASSERT(whole.find('\0') == std::string::npos);
            CPPUNIT_ASSERT(head.target.front() == '/');
        }
        CPPUNIT_ASSERT(accepts > 100);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FramingTest);

} // namespace agent
