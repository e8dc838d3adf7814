#include "agent/outbox/TargetConnection.h"
#include "agent/outbox/Destination.h"
#include "agent/outbox/Webhook.h"
#include "tests/support/Certificates.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Receiver.h"
#include "tests/support/Variable.h"

#include <Poco/Base64Decoder.h>
#include <Poco/StreamCopier.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

namespace agent
{

using test::Certificate;
using test::Received;
using test::Receiver;

namespace
{

/// A connection that sends reports as a webhook.
class Webhook
{
public:
    Webhook(TargetSpec target, std::filesystem::path caFile)
        : _target(std::move(target)), _connection(_target, std::move(caFile))
    {
    }

    Reply post(const Report& report) { return _connection.post(webhookRequest(_target, report)); }
    void abort() { _connection.abort(); }

private:
    const TargetSpec _target;
    TargetConnection _connection;
};

} // namespace

/// How one report is sent: docs/outbox.md, "What a target gets".
class TargetConnectionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TargetConnectionTest);
    CPPUNIT_TEST(testTheSignatureIsThatOfStandardWebhooks);
    CPPUNIT_TEST(testWhatAnAnswerMeans);
    CPPUNIT_TEST(testSendsTheBodyUnderItsIdSigned);
    CPPUNIT_TEST(testAConnectionThatTheTargetClosedIsNoFailure);
    CPPUNIT_TEST(testARedirectionIsNotFollowed);
    CPPUNIT_TEST(testATargetThatIsNotThereIsAFailure);
    CPPUNIT_TEST(testOnlyACertificateOfTheNamedAuthorityIsBelieved);
    CPPUNIT_TEST(testAddressesOfTheLinkAndOfMetadataAreRefused);
    CPPUNIT_TEST(testANameThatLeadsToSuchAnAddressIsRefused);
    CPPUNIT_TEST(testProxiesAreThoseOfTheEnvironment);
    CPPUNIT_TEST(testAnAbortEndsAReportThatWaitsForItsTarget);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheSignatureIsThatOfStandardWebhooks()
    {
        // The example of the reference libraries.
        std::istringstream encoded("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        Poco::Base64Decoder decoder(encoded);
        std::string key;
        Poco::StreamCopier::copyToString(decoder, key);
        CPPUNIT_ASSERT_EQUAL(std::string("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
                             signatureOf(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                         R"({"test": 2432232314})"));
    }

    void testWhatAnAnswerMeans()
    {
        using Kind = Reply::Kind;
        for (const auto& [status, kind] : std::vector<std::pair<int, Kind>>{{200, Kind::Confirmed},
                                                                            {204, Kind::Confirmed},
                                                                            {299, Kind::Confirmed},
                                                                            {301, Kind::Failed},
                                                                            {304, Kind::Failed},
                                                                            {400, Kind::Refused},
                                                                            {401, Kind::Refused},
                                                                            {404, Kind::Refused},
                                                                            {407, Kind::Failed},
                                                                            {408, Kind::Failed},
                                                                            {410, Kind::Gone},
                                                                            {413, Kind::Refused},
                                                                            {422, Kind::Refused},
                                                                            {425, Kind::Failed},
                                                                            {429, Kind::Failed},
                                                                            {500, Kind::Failed},
                                                                            {503, Kind::Failed},
                                                                            {102, Kind::Failed}})
            CPPUNIT_ASSERT_MESSAGE(std::to_string(status), kind == replyOf(status, "", 0).kind);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(30'000), *replyOf(503, "30", 0).waitMs);
        // A limit of GitHub; without a time it is a right that is missing.
        CPPUNIT_ASSERT(Kind::Failed == replyOf(403, "30", 0).kind);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(30'000), *replyOf(403, "30", 0).waitMs);
        CPPUNIT_ASSERT(Kind::Refused == replyOf(403, "", 0).kind);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3'600'000), *replyOf(429, "99999999999", 0).waitMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), *replyOf(429, "-5", 0).waitMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(60'000), *replyOf(503, "Fri, 27 Nov 2026 15:01:00 GMT",
                                                            *parseTime("2026-11-27T15:00:00Z"))
                                                        .waitMs);
        CPPUNIT_ASSERT(!replyOf(503, "soon", 0).waitMs);
        CPPUNIT_ASSERT(!replyOf(400, "30", 0).waitMs);
    }

    void testSendsTheBodyUnderItsIdSigned()
    {
        Receiver receiver;
        Webhook webhook({.url = receiver.url("/a/b?key=1"), .secret = "key", .token = "tok"}, {});
        const Report report = one();
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == webhook.post(report).kind);
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == webhook.post(report).kind);
        const auto all = receiver.all();
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), all.size());
        const Received& sent = all.front();
        CPPUNIT_ASSERT_EQUAL(std::string("/a/b?key=1"), sent.path);
        CPPUNIT_ASSERT_EQUAL(report.body, sent.body);
        CPPUNIT_ASSERT_EQUAL(report.id, sent.headers.at("webhook-id"));
        CPPUNIT_ASSERT_EQUAL(std::string("Bearer tok"), sent.headers.at("authorization"));
        CPPUNIT_ASSERT_EQUAL(std::string("application/cloudevents+json; charset=utf-8"),
                             sent.headers.at("content-type"));
        CPPUNIT_ASSERT_EQUAL(signatureOf("key", report.id,
                                         std::stoll(sent.headers.at("webhook-timestamp")),
                                         report.body),
                             sent.headers.at("webhook-signature"));
        Webhook plain({.url = receiver.url()}, {});
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == plain.post(report).kind);
        CPPUNIT_ASSERT(!receiver.all().back().headers.contains("webhook-signature"));
        CPPUNIT_ASSERT(!receiver.all().back().headers.contains("authorization"));
    }

    void testAConnectionThatTheTargetClosedIsNoFailure()
    {
        int requests = 0;
        Receiver receiver([&](const Received&)
                          { return ++requests == 2 ? Receiver::hangUp : 200; });
        Webhook webhook({.url = receiver.url()}, {});
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == webhook.post(one()).kind);
        // The second goes over the kept connection, which ends under it; it is sent again over another.
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == webhook.post(one()).kind);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), receiver.all().size());
    }

    void testARedirectionIsNotFollowed()
    {
        Receiver elsewhere;
        Receiver receiver([](const Received&) { return 302; });
        receiver.headers["Location"] = elsewhere.url();
        Webhook webhook({.url = receiver.url(), .token = "tok"}, {});
        const Reply reply = webhook.post(one());
        CPPUNIT_ASSERT(Reply::Kind::Failed == reply.kind);
        CPPUNIT_ASSERT_EQUAL(std::string("HTTP 302"), reply.text);
        CPPUNIT_ASSERT(elsewhere.all().empty());
    }

    void testATargetThatIsNotThereIsAFailure()
    {
        std::string url;
        {
            const Receiver receiver;
            url = receiver.url();
        }
        Webhook webhook({.url = url}, {});
        const Reply reply = webhook.post(one());
        CPPUNIT_ASSERT(Reply::Kind::Failed == reply.kind);
        CPPUNIT_ASSERT_MESSAGE(reply.text, reply.text.find("refused") != std::string::npos);
    }

    void testOnlyACertificateOfTheNamedAuthorityIsBelieved()
    {
        const Certificate authority = Certificate::authority("ours");
        const Certificate other = Certificate::authority("theirs");
        const FilesFolder files;
        std::ofstream(files.path() / "ca.pem") << authority.pem();
        std::ofstream(files.path() / "other.pem") << other.pem();
        Certificate({.hosts = {"127.0.0.1"}}, &authority).write(files.path(), "good");
        Certificate({.hosts = {"ci.example.org"}}, &authority).write(files.path(), "wrong");
        Receiver good(ok, serverTls(files.path(), "good"));
        Receiver wrong(ok, serverTls(files.path(), "wrong"));
        CPPUNIT_ASSERT(Reply::Kind::Confirmed ==
                       Webhook({.url = good.url()}, files.path() / "ca.pem").post(one()).kind);
        for (const auto& [url, ca] : std::vector<std::pair<std::string, std::string>>{
                 {good.url(), "other.pem"}, {good.url(), ""}, {wrong.url(), "ca.pem"}})
        {
            Webhook webhook({.url = url}, ca.empty() ? std::filesystem::path() : files.path() / ca);
            CPPUNIT_ASSERT(Reply::Kind::Failed == webhook.post(one()).kind);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), good.all().size());
        CPPUNIT_ASSERT(wrong.all().empty());
    }

    void testAddressesOfTheLinkAndOfMetadataAreRefused()
    {
        using Poco::Net::IPAddress;
        for (const char* refused :
             {"169.254.169.254", "169.254.0.1", "fe80::1", "::ffff:169.254.169.254",
              "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"})
        {
            CPPUNIT_ASSERT_MESSAGE(refused, !addressProblem(IPAddress(refused), false).empty());
            CPPUNIT_ASSERT_MESSAGE(refused, addressProblem(IPAddress(refused), true).empty());
        }
        for (const char* never : {"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"})
            CPPUNIT_ASSERT_MESSAGE(never, !addressProblem(IPAddress(never), true).empty());
        for (const char* taken : {"127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "93.184.216.34",
                                  "2606:2800:220:1::1", "fd12::1"})
            CPPUNIT_ASSERT_EQUAL(std::string(), addressProblem(IPAddress(taken), false));
    }

    void testANameThatLeadsToSuchAnAddressIsRefused()
    {
        const Variable http("http_proxy");
        // Numbers that the resolver takes for an address, as attackers write it.
        for (const char* host : {"169.254.169.254", "2852039166", "0xa9fea9fe", "[fe80::1]"})
        {
            Webhook webhook({.url = std::string("http://") + host + ":9/"}, {});
            const Reply reply = webhook.post(one());
            CPPUNIT_ASSERT(Reply::Kind::Failed == reply.kind);
            CPPUNIT_ASSERT_MESSAGE(host + (": " + reply.text),
                                   reply.text.find("allow_link_local") != std::string::npos);
        }
    }

    void testProxiesAreThoseOfTheEnvironment()
    {
        const Variable http("http_proxy", "http://one:8080");
        const Variable upper("HTTPS_PROXY", "user:p%40ss@two:3128");
        const Variable direct("no_proxy", "example.net, .internal");
        CPPUNIT_ASSERT_EQUAL(std::string("one"), proxyFor("http", "ci.example.org")->host);
        const auto proxy = proxyFor("https", "ci.example.org");
        CPPUNIT_ASSERT_EQUAL(std::string("two"), proxy->host);
        CPPUNIT_ASSERT_EQUAL(3128, int(proxy->port));
        CPPUNIT_ASSERT_EQUAL(std::string("p@ss"), proxy->password);
        for (const char* host :
             {"example.net", "www.EXAMPLE.net", "ci.internal", "localhost", "127.0.0.1", "::1"})
            CPPUNIT_ASSERT_MESSAGE(host, !proxyFor("https", host));
        CPPUNIT_ASSERT(proxyFor("https", "notexample.net"));
        const Variable wrong("http_proxy", "ftp://x");
        CPPUNIT_ASSERT_THROW(proxyFor("http", "ci.example.org"), std::runtime_error);

        Receiver behind;
        const std::string address = behind.url("");
        const Variable real("http_proxy", address);
        Webhook webhook({.url = "http://ci.example.invalid/reports"}, {});
        CPPUNIT_ASSERT(Reply::Kind::Confirmed == webhook.post(one()).kind);
        CPPUNIT_ASSERT_EQUAL(std::string("http://ci.example.invalid:80/reports"),
                             behind.all().front().path);
    }

    void testAnAbortEndsAReportThatWaitsForItsTarget()
    {
        std::atomic<int> requests = 0;
        std::promise<void> arrived;
        std::promise<void> ended;
        const auto end = ended.get_future().share();
        Receiver receiver(
            [&](const Received&)
            {
                if (++requests == 1)
                    arrived.set_value();
                end.wait();
                return 200;
            });
        Webhook webhook({.url = receiver.url()}, {});
        auto reply = std::async(std::launch::async, [&] { return webhook.post(one()); });
        arrived.get_future().wait();
        webhook.abort();
        CPPUNIT_ASSERT(Reply::Kind::Failed == reply.get().kind);
        ended.set_value();
        CPPUNIT_ASSERT(Reply::Kind::Failed == webhook.post(one()).kind);
        CPPUNIT_ASSERT_EQUAL(1, requests.load());
    }

private:
    static int ok(const Received&) { return 200; }

    static Report one()
    {
        return {.seq = 1, .id = "0cf6b9ab-9f9e-4e38-9a01-1f2ea6c1cb3e", .body = R"({"a":"ü"})"};
    }

    static Poco::Net::Context::Ptr serverTls(const std::filesystem::path& folder,
                                             const std::string& name)
    {
        using Poco::Net::Context;
        Context::Params params;
        params.certificateFile = (folder / (name + ".pem")).string();
        params.privateKeyFile = (folder / (name + ".key")).string();
        params.verificationMode = Context::VERIFY_NONE;
        return new Context(Context::TLS_SERVER_USE, params);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TargetConnectionTest);

} // namespace agent
