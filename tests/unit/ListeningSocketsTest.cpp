#include "tests/support/FilesFolder.h"
#include "tests/support/TestServer.h"

#include <Poco/Net/SocketAddress.h>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <pwd.h>
#include <sys/un.h>

namespace agent
{
namespace
{

using Poco::Net::SocketAddress;
using test::RawClient;
using test::TestServer;

bool hasIpv6()
{
    const FileDescriptor socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress address("::1", 0);
    return socket.valid() && ::bind(socket.get(), address.addr(), address.length()) == 0;
}

/// Binds, and listens with `listens`.
FileDescriptor bound(const sockaddr* address, socklen_t length, bool listens = true)
{
    FileDescriptor socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(socket.get(), address, length) != 0 || (listens && ::listen(socket.get(), 8) != 0))
        throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    return socket;
}

FileDescriptor boundTcp(const std::string& host, std::uint16_t port)
{
    const SocketAddress address(host, port);
    return bound(address.addr(), address.length());
}

FileDescriptor boundUnix(const std::string& path, bool listens = true)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return bound(reinterpret_cast<sockaddr*>(&address), sizeof address, listens);
}

std::uint16_t portOf(const FileDescriptor& socket)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
    return SocketAddress(reinterpret_cast<sockaddr*>(&address), length).port();
}

ListenOptions passing(FileDescriptor socket, ListenOptions options = {})
{
    options.passed.push_back(std::move(socket));
    return options;
}

std::string failureOf(ListenOptions options)
{
    try
    {
        const ListeningSockets sockets(std::move(options));
        return "";
    }
    catch (const ListenMismatch& error)
    {
        return std::string("mismatch: ") + error.what();
    }
    catch (const std::runtime_error& error)
    {
        return error.what();
    }
}

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE(text, text.find(part) != std::string::npos);
}

} // namespace

class ListeningSocketsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ListeningSocketsTest);
    CPPUNIT_TEST(testBothLoopbackFamiliesHaveThePort);
    CPPUNIT_TEST(testAPortTakenInOneFamilyIsAnError);
    CPPUNIT_TEST(testOtherLoopbackAddressesStandAlone);
    CPPUNIT_TEST(testTheUnixSocketTellsWhoAsks);
    CPPUNIT_TEST(testTheSocketsFileIsForItsGroupAndGoesWithIt);
    CPPUNIT_TEST(testAStaleSocketIsReplacedAndNothingElse);
    CPPUNIT_TEST(testALinkInItsPlaceIsNotFollowed);
    CPPUNIT_TEST(testAnotherFileInItsPlaceIsNotRemovedAtTheEnd);
    CPPUNIT_TEST(testALongPathIsReached);
    CPPUNIT_TEST(testAGroupThatTheUserLacksIsAWarning);
    CPPUNIT_TEST(testPassedSocketsAreUsed);
    CPPUNIT_TEST(testPassedSocketsMustAgreeWithTheConfiguration);
    CPPUNIT_TEST(testKeptSocketsAreUsed);
    CPPUNIT_TEST(testKeptSocketsOfAnotherAddressAreFreed);
    CPPUNIT_TEST(testKeptSocketsListenOnWhereTheOthersCannot);
    CPPUNIT_TEST_SUITE_END();

    FilesFolder _files;

    [[nodiscard]] std::string path() const { return (_files.path() / "api.sock").string(); }
    [[nodiscard]] ListenOptions local() const { return {.port = 0, .socket = path()}; }

public:
    void testBothLoopbackFamiliesHaveThePort()
    {
        for (const char* address : {"127.0.0.1", "localhost", "0.0.0.0"})
        {
            ListeningSockets sockets({.address = address, .port = 0});
            CPPUNIT_ASSERT_EQUAL(hasIpv6(), sockets.loopback6());
            const auto all = sockets.take();
            CPPUNIT_ASSERT_EQUAL(std::size_t{hasIpv6() ? 2U : 1U}, all.size());
            for (const Listener& each : all)
                CPPUNIT_ASSERT_EQUAL(sockets.port(), portOf(each.socket));
        }
        const ListeningSockets sockets({.port = 0});
        CPPUNIT_ASSERT_EQUAL("127.0.0.1:" + std::to_string(sockets.port()), sockets.authority());
    }

    void testAPortTakenInOneFamilyIsAnError()
    {
        if (!hasIpv6())
            return;
        // Another program that had [::1] would get what browsers send to localhost.
        const FileDescriptor other = boundTcp("::1", 0);
        assertHas(failureOf({.port = portOf(other)}),
                  "[::1]:" + std::to_string(portOf(other)) + ": Address already in use");
    }

    void testOtherLoopbackAddressesStandAlone()
    {
        ListeningSockets sockets({.address = "127.0.0.3", .port = 0});
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, sockets.take().size());
        CPPUNIT_ASSERT(!sockets.loopback6());
    }

    void testTheUnixSocketTellsWhoAsks()
    {
        TestServer server({}, local());
        RawClient client("unix://" + path());
        const passwd* account = ::getpwuid(::geteuid());
        const std::string user =
            account != nullptr ? account->pw_name : std::to_string(::geteuid());
        std::vector<gid_t> groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
        ::getgroups(static_cast<int>(groups.size()), groups.data());
        std::string expected = "unix " + std::to_string(::geteuid()) + " " +
                               std::to_string(::getegid()) + " " + user + " ";
        for (const gid_t group : groups)
            expected += std::to_string(group) + ",";
        for (int i = 0; i < 3; ++i)
            CPPUNIT_ASSERT_EQUAL(expected, client.get("/peer").body);
        CPPUNIT_ASSERT_EQUAL(std::string("tcp 127.0.0.1"),
                             RawClient(server.url()).get("/peer").body);
        // All kinds of answers leave by it as by TCP.
        CPPUNIT_ASSERT_EQUAL(std::string("34567"), client.get("/file").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{64} << 20, client.get("/big").body.size());
    }

    void testTheSocketsFileIsForItsGroupAndGoesWithIt()
    {
        {
            const ListeningSockets sockets(local());
            struct stat info = {};
            CPPUNIT_ASSERT_EQUAL(0, ::lstat(path().c_str(), &info));
            CPPUNIT_ASSERT_EQUAL(mode_t{S_IFSOCK | 0660}, info.st_mode);
            CPPUNIT_ASSERT_EQUAL(::getegid(), info.st_gid);
        }
        CPPUNIT_ASSERT(!std::filesystem::exists(path()));
    }

    void testAStaleSocketIsReplacedAndNothingElse()
    {
        boundUnix(path()).reset(); // as a crash leaves it
        CPPUNIT_ASSERT_EQUAL(std::string(), failureOf(local()));

        const FileDescriptor other = boundUnix(path());
        assertHas(failureOf(local()), "another program listens there");
        CPPUNIT_ASSERT(std::filesystem::is_socket(path()));
        std::filesystem::remove(path());

        _files.write("api.sock", "text");
        assertHas(failureOf(local()), "is no socket");
        CPPUNIT_ASSERT(std::filesystem::is_regular_file(path()));

        assertHas(failureOf({.port = 0, .socket = _files.path() / "none" / "api.sock"}),
                  "No such file or directory. Make it");
    }

    void testALinkInItsPlaceIsNotFollowed()
    {
        const auto target = (_files.path() / "target").string();
        std::filesystem::create_symlink(target, path());
        assertHas(failureOf(local()), "is no socket");
        boundUnix(target).reset();
        assertHas(failureOf(local()), "is no socket");
        CPPUNIT_ASSERT(std::filesystem::is_symlink(path()));
        CPPUNIT_ASSERT(std::filesystem::is_socket(target));
    }

    void testAnotherFileInItsPlaceIsNotRemovedAtTheEnd()
    {
        {
            const ListeningSockets sockets(local());
            std::filesystem::remove(path());
            _files.write("api.sock", "text");
        }
        CPPUNIT_ASSERT(std::filesystem::exists(path()));
    }

    void testALongPathIsReached()
    {
        const auto folder = _files.path() / std::string(120, 'd');
        std::filesystem::create_directory(folder);
        const auto file = folder / "api.sock";
        {
            TestServer server({}, {.socket = file});
            // As a client that has moved into the folder, or goes through a descriptor.
            const FileDescriptor at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
            RawClient client("unix:///proc/self/fd/" + std::to_string(at.get()) + "/api.sock");
            CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        }
        CPPUNIT_ASSERT(!std::filesystem::exists(file));
    }

    void testAGroupThatTheUserLacksIsAWarning()
    {
        std::string said;
        ListenOptions options = local();
        options.group = 987'654;
        options.warn = [&](const std::string& line) { said += line; };
        const ListeningSockets sockets(std::move(options));
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::lstat(path().c_str(), &info));
        if (info.st_gid == 987'654) // root may
            return CPPUNIT_ASSERT_EQUAL(std::string(), said);
        assertHas(said, "the group of auth.operators_group can't open " + path());
        assertHas(said, "usermod -aG 987654 USER");
    }

    void testPassedSocketsAreUsed()
    {
        FileDescriptor tcp = boundTcp("127.0.0.1", 0);
        const std::uint16_t port = portOf(tcp);
        const int numbers[] = {tcp.get(), -1};
        ListenOptions options{.port = port, .socket = path()};
        options.passed.push_back(std::move(tcp));
        options.passed.push_back(boundUnix(path()));
        const int unixNumber = options.passed.back().get();
        {
            ListeningSockets sockets(std::move(options));
            CPPUNIT_ASSERT_EQUAL(port, sockets.port());
            const auto all = sockets.take();
            CPPUNIT_ASSERT_EQUAL(numbers[0], all.front().socket.get());
            CPPUNIT_ASSERT_EQUAL(unixNumber, all.back().socket.get());
            CPPUNIT_ASSERT(all.back().door == Peer::Door::Unix);
            for (const Listener& each : all)
                CPPUNIT_ASSERT((::fcntl(each.socket.get(), F_GETFL) & O_NONBLOCK) != 0);
        }
        CPPUNIT_ASSERT(std::filesystem::is_socket(path())); // it is systemd's
    }

    void testPassedSocketsMustAgreeWithTheConfiguration()
    {
        const auto mismatch =
            [](ListenOptions options, const std::string& there, const std::string& here)
        {
            const std::string said = failureOf(std::move(options));
            assertHas(said, "mismatch: ");
            assertHas(said, there);
            assertHas(said, here);
        };
        FileDescriptor tcp = boundTcp("127.0.0.1", 0);
        const std::string there = "127.0.0.1:" + std::to_string(portOf(tcp));
        mismatch(passing(std::move(tcp), {.port = 1}), there, "127.0.0.1:1 or [::1]:1");
        FileDescriptor other = boundTcp("127.0.0.2", 0);
        const std::uint16_t port = portOf(other);
        mismatch(passing(std::move(other), {.port = port}), "127.0.0.2:" + std::to_string(port),
                 "127.0.0.1:" + std::to_string(port));
        mismatch(passing(boundUnix(path()), {.port = 0, .socket = "/elsewhere/api.sock"}), path(),
                 "/elsewhere/api.sock");
        mismatch(passing(boundUnix(path() + "2"), {.port = 0}), path() + "2",
                 "http.socket says none");
        mismatch(passing(boundUnix(path() + "3", false), {.port = 0}), "Accept=no", "descriptor");
    }

    void testKeptSocketsAreUsed()
    {
        const FileDescriptor before = boundTcp("127.0.0.1", 0);
        for (const std::uint16_t port : {portOf(before), std::uint16_t{0}})
        {
            ListenOptions options{.port = port};
            options.kept.emplace_back(::dup(before.get()));
            ListeningSockets sockets(std::move(options));
            CPPUNIT_ASSERT_EQUAL(portOf(before), sockets.port());
            CPPUNIT_ASSERT_EQUAL(std::size_t{hasIpv6() ? 2U : 1U}, sockets.ownTcp().size());
            CPPUNIT_ASSERT_EQUAL(sockets.ownTcp().at(0), sockets.take().at(0).socket.get());
        }
    }

    void testKeptSocketsOfAnotherAddressAreFreed()
    {
        ListeningSockets before({.port = 0});
        const std::uint16_t port = before.port();
        const auto open = before.take(); // by the keeper
        ListenOptions options{.address = "0.0.0.0", .port = port};
        for (const Listener& each : open)
            options.kept.emplace_back(::dup(each.socket.get()));
        ListenOptions other{.address = "127.0.0.1", .port = 0};
        other.kept.push_back(boundUnix(path())); // no TCP
        other.kept.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        const ListeningSockets sockets(std::move(options));
        CPPUNIT_ASSERT_EQUAL(port, sockets.port());
        const ListeningSockets others(std::move(other));
        CPPUNIT_ASSERT(others.port() != 0 && others.port() != port);
    }

    void testKeptSocketsListenOnWhereTheOthersCannot()
    {
        const FileDescriptor kept = boundTcp("127.0.0.1", 0);
        const auto listening = [&]
        {
            int value = 0;
            socklen_t size = sizeof value;
            ::getsockopt(kept.get(), SOL_SOCKET, SO_ACCEPTCONN, &value, &size);
            return value != 0;
        };
        const auto options = [&](std::uint16_t port)
        {
            ListenOptions all{.port = port};
            all.kept.emplace_back(::dup(kept.get()));
            return all;
        };
        const FileDescriptor other = boundTcp("127.0.0.1", 0);
        assertHas(failureOf(options(portOf(other))), "Address already in use");
        CPPUNIT_ASSERT(listening());
        ListenOptions noFile = options(0);
        noFile.address = "127.0.0.3";
        noFile.socket = "/nowhere/api.sock";
        CPPUNIT_ASSERT(!failureOf(std::move(noFile)).empty());
        CPPUNIT_ASSERT(listening());
        ListenOptions elsewhere = options(0);
        elsewhere.address = "127.0.0.3";
        CPPUNIT_ASSERT_EQUAL(std::string(), failureOf(std::move(elsewhere)));
        CPPUNIT_ASSERT(!listening());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ListeningSocketsTest);

} // namespace agent
