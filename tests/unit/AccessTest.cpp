#include "agent/api/Access.h"
#include "agent/run/TokenSecret.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <memory>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr uid_t somebody = 4711;
constexpr gid_t operators = 4712;

Request overTcp(const std::string& authorization = "")
{
    Request request;
    request.peer.address = "192.0.2.7";
    if (!authorization.empty())
        request.headers["authorization"] = authorization;
    return request;
}

Request overTheSocket(uid_t uid, gid_t gid, std::vector<gid_t> groups = {})
{
    Request request;
    request.peer = {.door = Peer::Door::Unix,
                    .address = "",
                    .uid = uid,
                    .gid = gid,
                    .groups = std::move(groups),
                    .user = uid == 0 ? "root" : "alice"};
    return request;
}

} // namespace

/// Who asks, and what he may.
class AccessTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(AccessTest);
    CPPUNIT_TEST(testNobodyMayAnythingWithoutAToken);
    CPPUNIT_TEST(testATokenGivesItsRoleAndNoMore);
    CPPUNIT_TEST(testTheSchemeIsBearerInAnyCase);
    CPPUNIT_TEST(testATokenEndsWithItsTimeAndItsRevocation);
    CPPUNIT_TEST(testTheKernelNamesWhoComesOverTheSocket);
    CPPUNIT_TEST(testATokenDecidesAlsoOverTheSocket);
    CPPUNIT_TEST(testWithoutAuthWhoComesWithoutATokenIsAdmin);
    CPPUNIT_TEST(testAPersonIsBelievedOnlyBesideAProxysToken);
    CPPUNIT_TEST(testWrongTokensHaveToWaitAndValidOnesNever);
    CPPUNIT_TEST(testUsesAreRecordedOnceAMinute);
    CPPUNIT_TEST(testSecretsDiffer);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNobodyMayAnythingWithoutAToken()
    {
        for (const char* sent :
             {"", "Basic YWxpY2U6c2VjcmV0", "Bearer", "Bearer ", "Bearer x", "sat_1", "Bearer a b"})
        {
            Request request = overTcp(sent);
            const Refusal refusal = refused(request, Role::Read);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(sent, 401, refusal.status);
            CPPUNIT_ASSERT_EQUAL(std::string("Bearer"), refusal.headers.at("WWW-Authenticate"));
            CPPUNIT_ASSERT(refusal.message.find("stagectl token create") != std::string::npos);
            CPPUNIT_ASSERT(!request.caller.may(Role::Read));
            _access = std::make_unique<Access>(options(), _tokens, _sessions); // forgets failures
        }
    }

    void testATokenGivesItsRoleAndNoMore()
    {
        const std::vector<Role> roles{Role::Read, Role::Run, Role::Operate, Role::Admin};
        for (const Role held : roles)
            for (const Role needed : roles)
            {
                Request request = overTcp("Bearer " + made({.name = "bot", .role = held}));
                if (held >= needed)
                {
                    _access->admit(request, needed);
                    CPPUNIT_ASSERT_EQUAL(std::string("bot"), request.actor);
                    continue;
                }
                const Refusal refusal = refused(request, needed);
                CPPUNIT_ASSERT_EQUAL(403, refusal.status);
                CPPUNIT_ASSERT(refusal.message.find("the role " + std::string(toString(needed))) !=
                               std::string::npos);
            }
    }

    void testTheSchemeIsBearerInAnyCase()
    {
        const std::string secret = made({.name = "bot"});
        for (const char* scheme : {"Bearer ", "bearer ", "BEARER ", "Bearer   "})
        {
            Request request = overTcp(scheme + secret);
            _access->admit(request, Role::Read);
            CPPUNIT_ASSERT_EQUAL(std::string("bot"), request.actor);
        }
    }

    void testATokenEndsWithItsTimeAndItsRevocation()
    {
        const std::string expired = made({.name = "old", .expiresAt = nowMs() - 1});
        Request request = overTcp("Bearer " + expired);
        CPPUNIT_ASSERT_EQUAL(std::string("token_invalid"), refused(request, Role::Read).code);

        const std::string secret = made({.name = "bot", .expiresAt = nowMs() + 3'600'000});
        Request before = overTcp("Bearer " + secret);
        _access->admit(before, Role::Read);
        CPPUNIT_ASSERT(before.caller.grant->valid(nowMs()));
        _tokens.remove("bot");
        CPPUNIT_ASSERT(!before.caller.grant->valid(nowMs()));
        Request after = overTcp("Bearer " + secret);
        CPPUNIT_ASSERT_EQUAL(std::string("token_invalid"), refused(after, Role::Read).code);
    }

    void testTheKernelNamesWhoComesOverTheSocket()
    {
        Request root = overTheSocket(0, 0);
        _access->admit(root, Role::Admin);
        CPPUNIT_ASSERT_EQUAL(std::string("root"), root.actor);

        Request first = overTheSocket(somebody, operators);
        Request second = overTheSocket(somebody, 1, {5, operators});
        for (Request* member : {&first, &second})
        {
            _access->admit(*member, Role::Operate);
            CPPUNIT_ASSERT_EQUAL(std::string("alice"), member->actor);
            CPPUNIT_ASSERT_EQUAL(403, refused(*member, Role::Admin).status);
        }
        Request other = overTheSocket(somebody, 1, {5});
        const Refusal refusal = refused(other, Role::Read);
        CPPUNIT_ASSERT_EQUAL(std::string("not_an_operator"), refusal.code);
        CPPUNIT_ASSERT(refusal.message.find("the group ops") != std::string::npos);

        if (::geteuid() != 0)
        {
            Request own = overTheSocket(::geteuid(), operators);
            CPPUNIT_ASSERT_EQUAL(403, refused(own, Role::Read).status);
        }
    }

    void testATokenDecidesAlsoOverTheSocket()
    {
        Request root = overTheSocket(0, 0);
        root.headers["authorization"] = "Bearer " + made({.name = "bot"});
        CPPUNIT_ASSERT_EQUAL(403, refused(root, Role::Admin).status);
        CPPUNIT_ASSERT_EQUAL(std::string("bot"), root.actor);
        root.headers["authorization"] = "Bearer x";
        CPPUNIT_ASSERT_EQUAL(401, refused(root, Role::Read).status);
    }

    void testWithoutAuthWhoComesWithoutATokenIsAdmin()
    {
        auto open = options();
        open.required = false;
        _access = std::make_unique<Access>(open, _tokens, _sessions);
        Request request = overTcp();
        _access->admit(request, Role::Admin);
        CPPUNIT_ASSERT_EQUAL(std::string("192.0.2.7"), request.actor);
        Request bot = overTcp("Bearer " + made({.name = "bot"}));
        CPPUNIT_ASSERT_EQUAL(403, refused(bot, Role::Run).status);
        Request wrong = overTcp("Bearer x");
        CPPUNIT_ASSERT_EQUAL(401, refused(wrong, Role::Read).status);
        Request stranger = overTheSocket(somebody, 1);
        _access->admit(stranger, Role::Admin);
        CPPUNIT_ASSERT_EQUAL(std::string("alice"), stranger.actor);
    }

    void testAPersonIsBelievedOnlyBesideAProxysToken()
    {
        const auto actorOf = [this](const std::string& secret, const std::string& person)
        {
            Request request = overTcp("Bearer " + secret);
            if (!person.empty())
                request.headers["x-forwarded-user"] = person;
            _access->admit(request, Role::Read);
            return request.actor;
        };
        const std::string plain = made({.name = "bot"});
        const std::string proxy = made({.name = "front", .proxy = true});
        CPPUNIT_ASSERT_EQUAL(std::string("bot"), actorOf(plain, "eve"));
        CPPUNIT_ASSERT_EQUAL(std::string("alice@example.org"), actorOf(proxy, "alice@example.org"));
        CPPUNIT_ASSERT_EQUAL(std::string("front"), actorOf(proxy, ""));
        for (const std::string& wrong :
             {std::string("a\tb"), std::string(129, 'a'), std::string("\xff"), std::string("\x7f")})
        {
            Request request = overTcp("Bearer " + proxy);
            request.headers["x-forwarded-user"] = wrong;
            CPPUNIT_ASSERT_EQUAL(400, refused(request, Role::Read).status);
        }
        auto without = options();
        without.proxyHeader.clear();
        _access = std::make_unique<Access>(without, _tokens, _sessions);
        CPPUNIT_ASSERT_EQUAL(std::string("front"), actorOf(proxy, "alice"));
    }

    void testWrongTokensHaveToWaitAndValidOnesNever()
    {
        const std::string secret = made({.name = "bot"});
        std::vector<int> statuses;
        for (int i = 0; i < 7; ++i)
        {
            Request request = overTcp("Bearer x");
            const Refusal refusal = refused(request, Role::Read);
            statuses.push_back(refusal.status);
            if (refusal.status == 429)
                CPPUNIT_ASSERT_EQUAL(std::string("1"), refusal.headers.at("Retry-After"));
        }
        CPPUNIT_ASSERT((statuses == std::vector<int>{401, 401, 401, 401, 401, 429, 429}));
        Request valid = overTcp("Bearer " + secret);
        _access->admit(valid, Role::Read);
        Request other = overTcp("Bearer x");
        other.peer.address = "192.0.2.8";
        CPPUNIT_ASSERT_EQUAL(401, refused(other, Role::Read).status);
        Request none = overTcp();
        CPPUNIT_ASSERT_EQUAL(std::string("token_missing"), refused(none, Role::Read).code);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t(8), _access->failures().failures);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t(2), _access->failures().delayed);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _log.size());
        CPPUNIT_ASSERT(_log[0].starts_with("192.0.2.7 has sent 5 wrong tokens"));
    }

    void testUsesAreRecordedOnceAMinute()
    {
        const std::string secret = made({.name = "bot"});
        for (int i = 0; i < 3; ++i)
        {
            Request request = overTcp("Bearer " + secret);
            _access->admit(request, Role::Read);
        }
        CPPUNIT_ASSERT_EQUAL(1, _uses);
        const auto taken = _tokens.takeUses();
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), taken.size());
        CPPUNIT_ASSERT_EQUAL(std::string("bot"), taken[0].first);
        Request again = overTcp("Bearer " + secret);
        _access->admit(again, Role::Read);
        CPPUNIT_ASSERT_EQUAL(1, _uses);
        const auto grant = _tokens.find(secret);
        CPPUNIT_ASSERT(_tokens.use(*grant, nowMs() + 61'000));
    }

    void testSecretsDiffer()
    {
        const std::string one = newSecret("sat_");
        CPPUNIT_ASSERT_EQUAL(std::size_t(68), one.size());
        CPPUNIT_ASSERT(one.starts_with("sat_"));
        CPPUNIT_ASSERT(one != newSecret("sat_"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            digestOf("abc"));
        CPPUNIT_ASSERT(equalDigests("abc", "abc"));
        CPPUNIT_ASSERT(!equalDigests("abc", "abd"));
        CPPUNIT_ASSERT(!equalDigests("abc", "ab"));
    }

private:
    AccessOptions options()
    {
        return {.required = true,
                .operatorsGroup = "ops",
                .operators = operators,
                .proxyHeader = "x-forwarded-user",
                .log = [this](const std::string& line) { _log.push_back(line); },
                .used = [this] { ++_uses; }};
    }

    std::string made(Token token)
    {
        std::string secret = newSecret("sat_");
        token.digest = digestOf(secret);
        _tokens.add(token);
        return secret;
    }

    Refusal refused(Request& request, Role role)
    {
        try
        {
            _access->admit(request, role);
        }
        catch (const Refusal& refusal)
        {
            return refusal;
        }
        CPPUNIT_FAIL("the request was let in");
        return {};
    }

    TokenCatalog _tokens;
    Sessions _sessions;
    std::vector<std::string> _log;
    int _uses = 0;
    std::unique_ptr<Access> _access = std::make_unique<Access>(options(), _tokens, _sessions);
};

CPPUNIT_TEST_SUITE_REGISTRATION(AccessTest);

} // namespace agent
