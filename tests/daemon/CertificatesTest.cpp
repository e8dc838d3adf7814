// TLS of the real daemon, and what stagectl says of its certificate.
#include "tests/support/Certificates.h"
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/TlsClient.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <ctime>

using agent::test::Certificate;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::RawClient;
using agent::test::replaceFile;
using agent::test::runProgram;
using agent::test::TlsClient;
using agent::test::waitFor;
using namespace std::chrono_literals;

namespace
{

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                           text.find(part) != std::string::npos);
}

} // namespace

class CertificatesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CertificatesTest);
    CPPUNIT_TEST(testStagectlAsksFollowsAndVerifies);
    CPPUNIT_TEST(testASlowFollowerGetsEachByte);
    CPPUNIT_TEST(testStagectlSaysWhatIsWrongWithACertificate);
    CPPUNIT_TEST(testANewCertificateIsTakenOnHangup);
    CPPUNIT_TEST(testABadNewCertificateKeepsTheOldOne);
    CPPUNIT_TEST(testTheDoctorLooksAtTheCertificate);
    CPPUNIT_TEST(testRefusesToStartWithoutAUsableCertificate);
    CPPUNIT_TEST(testOnlyTlsLeavesThisHost);
    CPPUNIT_TEST(testACredentialOfSystemdIsUsed);
    CPPUNIT_TEST_SUITE_END();

    Daemon _daemon;
    Certificate _authority = Certificate::authority("our authority");

    [[nodiscard]] std::filesystem::path folder() const { return _daemon.folder(); }

    void use(const Certificate& certificate)
    {
        certificate.write(folder(), "server");
        _daemon.set("http.tls_certificate", (folder() / "server.pem").string());
        _daemon.set("http.tls_key", (folder() / "server.key").string());
    }

    [[nodiscard]] Certificate issued(const agent::test::CertificateRequest& request = {}) const
    {
        return Certificate(request, &_authority);
    }

    [[nodiscard]] Ended stagectl(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> all{STAGE_AGENT_BIN_DIR "/stagectl"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return runProgram(all, folder(),
                          {{"HOME", folder().string()}, {"STAGE_AGENT_TOKEN", token()}});
    }

    [[nodiscard]] std::string address() const
    {
        const std::string text = contentOf(_daemon.state() / "address");
        return text.substr(0, text.find('\n'));
    }

    static std::string nameOf(const TlsClient& client)
    {
        X509* const certificate = SSL_get1_peer_certificate(client.session());
        char name[256] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                  sizeof name);
        X509_free(certificate);
        return name;
    }

    [[nodiscard]] std::string token() const
    {
        const std::string text = contentOf(_daemon.state() / "admin.token");
        return text.substr(0, text.find('\n'));
    }

    /// A request's head and body, with the token where there is one.
    [[nodiscard]] std::string request(const std::string& line, const std::string& body = "") const
    {
        return line + "\r\nHost: " + address().substr(8) +
               (token().empty() ? "" : "\r\nAuthorization: Bearer " + token()) +
               (body.empty() ? ""
                             : "\r\nContent-Type: application/json\r\nContent-Length: " +
                                   std::to_string(body.size())) +
               "\r\n\r\n" + body;
    }

    /// The answer's body; the server closes behind it.
    [[nodiscard]] std::string ask(const std::string& methodAndTarget,
                                  const std::string& body = "") const
    {
        TlsClient client(address());
        client.send(request(methodAndTarget + " HTTP/1.0", body));
        const std::string answer = client.receiveAll();
        CPPUNIT_ASSERT_MESSAGE(answer, client.whole());
        return answer.substr(answer.find("\r\n\r\n") + 4);
    }

    static std::string idIn(const std::string& json)
    {
        const auto at = json.find("\"id\":\"");
        CPPUNIT_ASSERT_MESSAGE(json, at != std::string::npos);
        return json.substr(at + 6, 36);
    }

    /// What it says when it can't start.
    [[nodiscard]] std::string refusal() const
    {
        std::string said;
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({}, said));
        return said;
    }

public:
    void setUp() override
    {
        replaceFile(folder() / "ca.pem", _authority.pem(), 0644);
        _daemon.writeService("app", "name: app\nstages:\n  - { type: BUILD, plugin: shell, with: "
                                    "{ command: 'for i in 1 2 3; do echo line $i; done' } }\n");
    }

    void testStagectlAsksFollowsAndVerifies()
    {
        use(issued());
        _daemon.start();
        CPPUNIT_ASSERT(address().starts_with("https://127.0.0.1:"));
        const Ended run = stagectl(
            {"--agent", address(), "--ca-file", (folder() / "ca.pem"), "run", "app", "--follow"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(run.err, 0, run.exitCode);
        assertHas(run.out, "line 3");
        std::filesystem::create_directories(folder() / ".config");
        replaceFile(folder() / ".config" / "stagectl",
                    "agent = " + address() + "\nca-file = ~/ca.pem\n", 0644);
        const Ended runs = stagectl({"runs"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(runs.err, 0, runs.exitCode);
        const Ended plain = stagectl({"--agent", "http" + address().substr(5), "runs"});
        assertHas(plain.err, "https://");
    }

    /// A blocked write has to be repeated with the same bytes, whatever was written to the log meanwhile.
    void testASlowFollowerGetsEachByte()
    {
        _daemon.writeService("big", "name: big\nstages:\n  - { type: BUILD, plugin: shell, with: { "
                                    "command: 'seq 300000; sleep 1; seq 300000' } }\n");
        use(issued());
        _daemon.start();
        const std::string run = idIn(ask("POST /api/runs", R"({"service":"big"})"));
        const std::string stage = idIn(ask("GET /api/stages?runId=" + run));
        for (const char* how : {"", "&timestamps=1"})
        {
            TlsClient follower(address(), {.receiveBuffer = 4096});
            follower.send(
                request("GET /api/stages/" + stage + "/log?follow=1" + how + " HTTP/1.1"));
            CPPUNIT_ASSERT_EQUAL(200, follower.receive(true).status);
            while (follower.held() < 300'000 && follower.more(1000))
            {
            }
            const std::string followed = follower.receiveAll();
            CPPUNIT_ASSERT(follower.whole());
            std::string query = how;
            if (!query.empty())
                query.front() = '?';
            CPPUNIT_ASSERT(followed == ask("GET /api/stages/" + stage + "/log" + query));
        }
    }

    void testStagectlSaysWhatIsWrongWithACertificate()
    {
        const auto said = [&](const Certificate& certificate, const std::string& host = "")
        {
            use(certificate);
            _daemon.start();
            std::string url = address();
            if (!host.empty())
                url.replace(8, 9, host);
            const Ended ended =
                stagectl({"--agent", url, "--ca-file", folder() / "ca.pem", "runs"});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 6, ended.exitCode);
            CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
            return ended.err;
        };
        assertHas(said(issued({.from = -48h, .until = -24h})),
                  "the certificate of 127.0.0.1 expired on ");
        assertHas(said(issued({.from = 24h, .until = 48h})), "is not valid before ");
        assertHas(said(issued({.hosts = {"ci.example", "192.0.2.1"}})),
                  "the certificate of 127.0.0.1 is for ci.example, 192.0.2.1");
        assertHas(said(issued(), "localhost"), "the certificate of localhost is for 127.0.0.1");
        assertHas(said(Certificate({})), "is self-signed");
        const Certificate other = Certificate::authority("other authority");
        assertHas(said(Certificate({}, &other)), "its issuer (CN=other authority) is not known");
    }

    void testANewCertificateIsTakenOnHangup()
    {
        use(issued({.name = "first"}));
        _daemon.start();
        TlsClient before(address());
        CPPUNIT_ASSERT_EQUAL(std::string("first"), nameOf(before));
        use(issued({.name = "second"}));
        _daemon.signal(SIGHUP);
        waitFor("the second certificate", [&] { return nameOf(TlsClient(address())) == "second"; });
        before.send(request("GET /healthz HTTP/1.1"));
        CPPUNIT_ASSERT_EQUAL(200, before.receive().status);
    }

    void testABadNewCertificateKeepsTheOldOne()
    {
        use(issued({.name = "first"}));
        _daemon.start();
        replaceFile(folder() / "server.pem", issued({.name = "other"}).pem(), 0644);
        _daemon.signal(SIGHUP);
        waitFor("the complaint",
                [&] { return _daemon.output().find("stays in use") != std::string::npos; });
        assertHas(_daemon.output(), "does not belong to the first certificate");
        CPPUNIT_ASSERT_EQUAL(std::string("first"), nameOf(TlsClient(address())));
    }

    void testTheDoctorLooksAtTheCertificate()
    {
        const auto doctor = [&](const Certificate& certificate)
        {
            use(certificate);
            std::string said;
            _daemon.runToEnd({"--doctor"}, said);
            const auto at = said.find("\"check\":\"certificate\"");
            CPPUNIT_ASSERT_MESSAGE(said, at != std::string::npos);
            return said.substr(at, said.find('}', at) - at);
        };
        assertHas(doctor(issued()), "\"status\":\"ok\"");
        const std::string soon = doctor(issued({.until = 24h * 20 + 12h}));
        assertHas(soon, "\"status\":\"warn\"");
        assertHas(soon, "in 20 days");
        const std::string late = doctor(issued({.from = -48h, .until = -24h}));
        assertHas(late, "\"status\":\"fail\"");
        assertHas(late, "expired on ");
        use(issued());
        replaceFile(folder() / "server.key", Certificate({}).keyPem());
        std::string said;
        _daemon.runToEnd({"--doctor"}, said);
        assertHas(said, "does not belong to the first certificate");
    }

    void testRefusesToStartWithoutAUsableCertificate()
    {
        use(issued());
        replaceFile(folder() / "server.key", issued().keyPem(), 0644);
        assertHas(refusal(), "chmod o= ");
        _daemon.set("http.tls_key", "");
        assertHas(refusal(), "set both");
        _daemon.set("http.tls_key", (folder() / "none.key").string());
        assertHas(refusal(), "none.key: No such file or directory");
    }

    void testOnlyTlsLeavesThisHost()
    {
        _daemon.set("http.address", "0.0.0.0");
        assertHas(refusal(), "is not loopback");
        _daemon.set("http.plain", "yes");
        assertHas(refusal(), "http.plain: expected nothing, or: yes, a proxy speaks TLS for me");
        _daemon.set("http.plain", "yes, a proxy speaks TLS for me");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.set("http.plain", "");
        use(issued());
        _daemon.start();
        CPPUNIT_ASSERT(address().starts_with("https://0.0.0.0:"));
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.set("auth.required", "false");
        assertHas(refusal(), "auth.required: ");
        _daemon.set("auth.required", "true");
        _daemon.set("http.address", "300.1.1.1");
        assertHas(refusal(), "http.address: expected an address");
    }

    void testACredentialOfSystemdIsUsed()
    {
        std::filesystem::create_directories(folder() / "credentials");
        const Certificate certificate = issued();
        certificate.write(folder() / "credentials", "tls");
        _daemon.set("http.tls_certificate", "credential:tls.pem");
        _daemon.set("http.tls_key", "credential:tls.key");
        _daemon.setEnvironment("CREDENTIALS_DIRECTORY", (folder() / "credentials").string());
        _daemon.start();
        CPPUNIT_ASSERT(address().starts_with("https://"));
        const Ended metrics =
            stagectl({"--agent", "unix://" + (_daemon.state() / "api.sock").string(), "doctor"});
        assertHas(metrics.out, "is healthy");
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CertificatesTest);
