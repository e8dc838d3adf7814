// TLS of the server, with real sockets and certificates that the test makes.
#include "agent/tls/TlsContext.h"
#include "tests/support/Certificates.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/TestServer.h"
#include "tests/support/TlsClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <set>

namespace agent
{
namespace
{

using test::Certificate;
using test::hostLine;
using test::RawAnswer;
using test::RawClient;
using test::replaceFile;
using test::TestServer;
using test::TlsClient;
using namespace std::chrono_literals;

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in: " + text,
                           text.find(part) != std::string::npos);
}

std::string failureOf(const CertificateFiles& files)
{
    try
    {
        const TlsContext context(files);
        return "";
    }
    catch (const CertificateError& error)
    {
        return error.what();
    }
}

} // namespace

class TlsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TlsTest);
    CPPUNIT_TEST(testAnswersOfAllKindsArriveWhole);
    CPPUNIT_TEST(testTheHandlerKnowsThatItIsEncrypted);
    CPPUNIT_TEST(testABodyOfManyRecordsIsRead);
    CPPUNIT_TEST(testBytesThatComeOneByOneAreRead);
    CPPUNIT_TEST(testASlowReaderGetsAllOfALargeAnswer);
    CPPUNIT_TEST(testOldProtocolsAreRefused);
    CPPUNIT_TEST(testNegotiatesHttp11AndRefusesOtherProtocols);
    CPPUNIT_TEST(testASessionIsResumed);
    CPPUNIT_TEST(testRenegotiationIsRefused);
    CPPUNIT_TEST(testAKeyUpdateIsAnswered);
    CPPUNIT_TEST(testAMuteHandshakeIsCutAndDelaysNobody);
    CPPUNIT_TEST(testPlainHttpIsToldToUseTls);
    CPPUNIT_TEST(testAClosedAnswerSaysThatItIsWhole);
    CPPUNIT_TEST(testATruncatedAnswerDoesNot);
    CPPUNIT_TEST(testATakenOverConnectionOutlivesTheServer);
    CPPUNIT_TEST(testAmbiguousRequestsAreRefusedAndClosed);
    CPPUNIT_TEST(testANewCertificateIsForNewConnections);
    CPPUNIT_TEST(testABadNewCertificateKeepsTheOldOne);
    CPPUNIT_TEST(testSaysWhatIsWrongWithTheFiles);
    CPPUNIT_TEST_SUITE_END();

    FilesFolder _files;
    std::optional<TlsContext> _context;

    [[nodiscard]] CertificateFiles files() const
    {
        return {_files.path() / "server.pem", _files.path() / "server.key"};
    }

    [[nodiscard]] HttpOptions options(HttpOptions options = {}) const
    {
        options.tls = &*_context;
        return options;
    }

    static ListenOptions listen() { return {.tls = true}; }

    static std::string nameOf(const TlsClient& client)
    {
        X509* const certificate = SSL_get1_peer_certificate(client.session());
        char name[256] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                  sizeof name);
        X509_free(certificate);
        return name;
    }

    void request(const std::string& name) const
    {
        Certificate({.name = name}).write(_files.path(), "server");
    }

public:
    void setUp() override
    {
        request("first");
        _context.emplace(files());
    }

    void testAnswersOfAllKindsArriveWhole()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url());
        for (int i = 0; i < 3; ++i)
        {
            CPPUNIT_ASSERT_EQUAL(std::string("GET /a "), client.get("/a").body);
            CPPUNIT_ASSERT_EQUAL(std::string("ready bytes"), client.get("/cached").body);
            CPPUNIT_ASSERT_EQUAL(std::string("34567"), client.get("/file").body);
            CPPUNIT_ASSERT_EQUAL(409, client.get("/refuse").status);
        }
        const std::string big = client.get("/big").body;
        CPPUNIT_ASSERT(big == std::string(std::size_t{64} << 20, 'b'));
        client.send("GET /pages HTTP/1.0\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT_EQUAL(200, client.receive(true).status);
        CPPUNIT_ASSERT(client.receiveAll() == std::string(std::size_t{25'600} << 10, 'p'));
        CPPUNIT_ASSERT(client.whole());
    }

    void testTheHandlerKnowsThatItIsEncrypted()
    {
        TestServer server(options(), listen());
        CPPUNIT_ASSERT_EQUAL(std::string("tls 127.0.0.1"),
                             TlsClient(server.url()).get("/peer").body);
    }

    void testABodyOfManyRecordsIsRead()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url());
        const std::string body(700'000, 'u');
        client.send("POST /up HTTP/1.1\r\n" + hostLine + "Content-Length: 700000\r\n\r\n");
        for (std::size_t at = 0; at < body.size(); at += 7'000)
            CPPUNIT_ASSERT(client.send(body.substr(at, 7'000)));
        CPPUNIT_ASSERT_EQUAL("POST /up " + body, client.receive().body);
    }

    void testBytesThatComeOneByOneAreRead()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url());
        for (const char byte : "GET /slow HTTP/1.1\r\n" + hostLine + "\r\n")
            client.send({byte});
        CPPUNIT_ASSERT_EQUAL(std::string("GET /slow "), client.receive().body);
        std::string many;
        for (int i = 0; i < 50; ++i)
            many += "GET /" + std::to_string(i) + " HTTP/1.1\r\n" + hostLine + "\r\n";
        client.send(many);
        for (int i = 0; i < 50; ++i)
            CPPUNIT_ASSERT_EQUAL("GET /" + std::to_string(i) + " ", client.receive().body);
    }

    void testASlowReaderGetsAllOfALargeAnswer()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url(), {.receiveBuffer = 4096});
        client.send("GET /pages HTTP/1.0\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT_EQUAL(200, client.receive(true).status);
        while (client.more(1000) && client.held() < 300'000)
        {
        }
        CPPUNIT_ASSERT(client.receiveAll() == std::string(std::size_t{25'600} << 10, 'p'));
        CPPUNIT_ASSERT(client.whole());
    }

    void testOldProtocolsAreRefused()
    {
        TestServer server(options(), listen());
        for (const int version : {TLS1_VERSION, TLS1_1_VERSION})
            CPPUNIT_ASSERT_THROW(TlsClient(server.url(), {.oldest = version, .newest = version}),
                                 std::runtime_error);
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            TlsClient client(server.url(), {.oldest = version, .newest = version});
            CPPUNIT_ASSERT_EQUAL(version, SSL_version(client.session()));
            CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        }
    }

    void testNegotiatesHttp11AndRefusesOtherProtocols()
    {
        TestServer server(options(), listen());
        const TlsClient client(server.url(), {.protocols = "\x02h2\x08http/1.1"});
        const unsigned char* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(client.session(), &name, &size);
        CPPUNIT_ASSERT_EQUAL(std::string("http/1.1"),
                             std::string(reinterpret_cast<const char*>(name), size));
        CPPUNIT_ASSERT_THROW(TlsClient(server.url(), {.protocols = "\x02h2"}), std::runtime_error);
    }

    void testASessionIsResumed()
    {
        TestServer server(options(), listen());
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            TlsClient first(server.url(), {.oldest = version, .newest = version});
            CPPUNIT_ASSERT_EQUAL(200, first.get("/").status); // the ticket comes along with it
            SSL_SESSION* const session = SSL_get1_session(first.session());
            TlsClient second(server.url(),
                             {.oldest = version, .newest = version, .resumed = session});
            SSL_SESSION_free(session);
            CPPUNIT_ASSERT_EQUAL(1, SSL_session_reused(second.session()));
            CPPUNIT_ASSERT_EQUAL(200, second.get("/").status);
        }
    }

    void testRenegotiationIsRefused()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url(), {.newest = TLS1_2_VERSION});
        CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        SSL_renegotiate(client.session());
        SSL_do_handshake(client.session());
        client.get("/");
        CPPUNIT_ASSERT_EQUAL(1, server.calls.load());
    }

    void testAKeyUpdateIsAnswered()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url(), {.oldest = TLS1_3_VERSION});
        for (int i = 0; i < 5; ++i)
        {
            CPPUNIT_ASSERT_EQUAL(1, SSL_key_update(client.session(), SSL_KEY_UPDATE_REQUESTED));
            CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        }
    }

    void testAMuteHandshakeIsCutAndDelaysNobody()
    {
        TestServer server(options({.handshakeDeadlineMs = 500}), listen());
        std::vector<RawClient> mute;
        for (int i = 0; i < 50; ++i)
            mute.emplace_back(server.url());
        mute.front().send(std::string("\x16\x03\x01\x02\x00\x01", 6)); // half a record
        CPPUNIT_ASSERT_EQUAL(200, TlsClient(server.url()).get("/").status);
        for (auto& each : mute)
            CPPUNIT_ASSERT(each.isClosedWithin(RawClient::patience));
    }

    void testPlainHttpIsToldToUseTls()
    {
        TestServer server(options(), listen());
        RawClient client(server.url());
        const RawAnswer answer = client.get("/");
        CPPUNIT_ASSERT_EQUAL(400, answer.status);
        assertHas(answer.body, "tls_required");
        CPPUNIT_ASSERT_EQUAL(0, server.calls.load());
        RawClient garbage(server.url());
        garbage.send(std::string(100, '\x01'));
        CPPUNIT_ASSERT(garbage.isClosedWithin(RawClient::patience));
    }

    void testAClosedAnswerSaysThatItIsWhole()
    {
        TestServer server(options({.idleDeadlineMs = 100}), listen());
        TlsClient client(server.url());
        client.send("GET / HTTP/1.1\r\n" + hostLine + "Connection: close\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(200, client.receive().status);
        client.receiveAll();
        CPPUNIT_ASSERT(client.whole());
        TlsClient idle(server.url());
        CPPUNIT_ASSERT_EQUAL(200, idle.get("/").status);
        idle.receiveAll();
        CPPUNIT_ASSERT(idle.whole());
    }

    /// An answer of unknown length that ends early must not look like a whole one.
    void testATruncatedAnswerDoesNot()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url());
        client.send("GET /short HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string("3456789"), client.receive().body);
        CPPUNIT_ASSERT(!client.whole());
    }

    void testATakenOverConnectionOutlivesTheServer()
    {
        TestServer server(options(), listen());
        TlsClient client(server.url());
        client.send("GET /take HTTP/1.1\r\n" + hostLine + "\r\n");
        std::unique_ptr<Transport> taken = server.taken.get_future().get();
        CPPUNIT_ASSERT_EQUAL(200, client.receive(true).status);
        server.stop();
        CPPUNIT_ASSERT_EQUAL(std::size_t{8}, taken->send("streamed").bytes);
        taken->finish();
        taken.reset();
        CPPUNIT_ASSERT_EQUAL(std::string("streamed"), client.receiveAll());
        CPPUNIT_ASSERT(client.whole());
    }

    void testAmbiguousRequestsAreRefusedAndClosed()
    {
        TestServer server(options(), listen());
        for (const auto& [status, bytes] : test::ambiguousRequests())
        {
            TlsClient client(server.url());
            client.send(bytes);
            const RawAnswer answer = client.receive();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes.substr(0, 200), status, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string(), client.receiveAll());
            CPPUNIT_ASSERT(client.whole());
        }
        CPPUNIT_ASSERT_EQUAL(0, server.calls.load());
    }

    void testANewCertificateIsForNewConnections()
    {
        TestServer server(options(), listen());
        TlsClient before(server.url());
        CPPUNIT_ASSERT_EQUAL(std::string("first"), nameOf(before));
        const auto expiry = _context->expiresAt();
        Certificate({.name = "second", .until = 24h * 300}).write(_files.path(), "server");
        _context->reload();
        CPPUNIT_ASSERT_EQUAL(std::string("second"), nameOf(TlsClient(server.url())));
        CPPUNIT_ASSERT(_context->expiresAt() > expiry);
        CPPUNIT_ASSERT_EQUAL(200, before.get("/").status);
    }

    void testABadNewCertificateKeepsTheOldOne()
    {
        TestServer server(options(), listen());
        replaceFile(files().certificate, Certificate({.name = "other"}).pem(), 0644);
        CPPUNIT_ASSERT_THROW(_context->reload(), CertificateError);
        CPPUNIT_ASSERT_EQUAL(std::string("first"), nameOf(TlsClient(server.url())));
        std::filesystem::remove(files().key);
        CPPUNIT_ASSERT_THROW(_context->reload(), CertificateError);
        CPPUNIT_ASSERT_EQUAL(200, TlsClient(server.url()).get("/").status);
    }

    void testSaysWhatIsWrongWithTheFiles()
    {
        const Certificate right({.name = "right"});
        const auto problem = [&](const std::string& certificate, const std::string& key, int mode)
        {
            replaceFile(files().certificate, certificate, 0644);
            replaceFile(files().key, key, mode);
            return failureOf(files());
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), problem(right.pem(), right.keyPem(), 0640));
        assertHas(problem(right.pem(), right.keyPem(), 0644), "chmod o= " + files().key.string());
        assertHas(problem(right.pem(), Certificate({}).keyPem(), 0600),
                  "does not belong to the first certificate");
        assertHas(problem(right.pem(), right.keyPem("secret"), 0600), "has a passphrase");
        assertHas(problem(right.pem(), "text", 0600), "holds no PEM private key");
        assertHas(problem("text", right.keyPem(), 0600), "holds no PEM certificate");
        assertHas(problem(right.pem() + right.pem().substr(0, 200), right.keyPem(), 0600),
                  "is damaged");
        CPPUNIT_ASSERT_EQUAL(
            std::string(),
            problem(right.pem() + Certificate::authority("ca").pem(), right.keyPem(), 0600));
        assertHas(failureOf({_files.path() / "none.pem", files().key}),
                  "none.pem: No such file or directory");
        assertHas(failureOf({"/dev/zero", files().key}), "it is no regular file");
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsTest);

} // namespace agent
