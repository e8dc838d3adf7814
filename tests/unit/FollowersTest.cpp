#include "agent/api/Followers.h"

#include "agent/store/RunStore.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <mutex>

namespace agent
{

class FollowersTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FollowersTest);
    CPPUNIT_TEST(testReaderThatTakesNothingIsDroppedWithANote);
    CPPUNIT_TEST(testReaderThatTakesLittleStays);
    CPPUNIT_TEST(testEventStreamsShowThatTheyLive);
    CPPUNIT_TEST(testClientThatLeavesGivesItsRoomBack);
    CPPUNIT_TEST(testStopClosesAll);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReaderThatTakesNothingIsDroppedWithANote()
    {
        writeLog(8 << 20);
        start({.patience = std::chrono::seconds(2)}); // the quick one may wait for a processor
        const Client slow = followLog();
        const Client quick = followLog();
        CPPUNIT_ASSERT_EQUAL(std::size_t(8 << 20), quick.readFor(8 << 20));
        within("the drop", [this] { return !notes().empty(); });
        CPPUNIT_ASSERT_MESSAGE(notes(), notes().find("took nothing") != std::string::npos);
        within("its room", [this] { return roomLeft() == most - 1; });
    }

    void testReaderThatTakesLittleStays()
    {
        writeLog(8 << 20);
        start({.patience = std::chrono::milliseconds(400)});
        const Client slow = followLog();
        for (int i = 0; i < 20; ++i)
        {
            ::poll(nullptr, 0, 100);
            CPPUNIT_ASSERT_EQUAL(std::size_t(50'000), slow.readFor(50'000));
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), notes());
    }

    void testEventStreamsShowThatTheyLive()
    {
        start({.heartbeat = std::chrono::milliseconds(50)});
        const Client client;
        _followers->add(std::make_unique<PlainTransport>(FileDescriptor(client.server())),
                        EventFollower::Wish{}, {_followers->room()});
        std::string text;
        within("two heartbeats",
               [&]
               {
                   text += client.readSome();
                   const auto first = text.find(": still here\n\n");
                   return first != std::string::npos &&
                          text.find(": still here\n\n", first + 1) != std::string::npos;
               });
    }

    void testClientThatLeavesGivesItsRoomBack()
    {
        start({});
        std::vector<Client> clients(most);
        for (auto& client : clients)
            _followers->add(std::make_unique<PlainTransport>(FileDescriptor(client.server())),
                            EventFollower::Wish{}, {_followers->room()});
        CPPUNIT_ASSERT(_followers->room() == nullptr);
        clients.clear();
        within("the room", [this] { return roomLeft() == most; });
    }

    void testStopClosesAll()
    {
        start({});
        const Client client;
        _followers->add(std::make_unique<PlainTransport>(FileDescriptor(client.server())),
                        EventFollower::Wish{}, {_followers->room()});
        within("its first bytes", [&] { return !client.readSome().empty(); });
        _followers->stop();
        CPPUNIT_ASSERT(client.isClosed());
        const Client late;
        _followers->add(std::make_unique<PlainTransport>(FileDescriptor(late.server())),
                        EventFollower::Wish{}, {});
        CPPUNIT_ASSERT(late.isClosed());
    }

private:
    static constexpr std::size_t most = 4;

    /// Both ends of a connection; the far one is given away.
    class Client
    {
    public:
        Client()
        {
            int ends[2];
            CPPUNIT_ASSERT_EQUAL(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
            _fd = FileDescriptor(ends[0]);
            _server = FileDescriptor(ends[1]);
        }

        [[nodiscard]] int server() const { return ::dup(_server.get()); }

        /// Shape: how many of `size` bytes came before the end or 10 s without one.
        [[nodiscard]] std::size_t readFor(std::size_t size) const
        {
            _server = {};
            std::string buffer(size, '\0');
            std::size_t done = 0;
            pollfd entry{.fd = _fd.get(), .events = POLLIN, .revents = 0};
            while (done<size&& ::poll(&entry, 1, 10'000)> 0)
            {
                const ssize_t got = ::read(_fd.get(), buffer.data() + done, size - done);
                if (got <= 0)
                    break;
                done += static_cast<std::size_t>(got);
            }
            return done;
        }

        [[nodiscard]] std::string readSome() const
        {
            char buffer[4096];
            const ssize_t got = ::recv(_fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            return {buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
        }

        [[nodiscard]] bool isClosed() const
        {
            _server = {};
            char byte = 0;
            ssize_t got = 0;
            while ((got = ::recv(_fd.get(), &byte, 1, MSG_DONTWAIT)) > 0)
            {
            }
            return got == 0;
        }

    private:
        FileDescriptor _fd;
        mutable FileDescriptor _server;
    };

    void start(FollowersOptions options)
    {
        options.most = most;
        options.log = [this](const std::string& line)
        {
            const std::lock_guard lock(_mutex);
            _notes += line + "\n";
        };
        _followers.emplace(std::move(options), _database, _state);
        _followers->start();
    }

    /// A stage that runs, with a log of `bytes` bytes.
    void writeLog(std::size_t bytes)
    {
        Run run{.id = "11111111-1111-4111-8111-111111111111", .status = Status::InProgress};
        const Stage stage{.id = _stageId,
                          .runId = run.id,
                          .type = StageType::Build,
                          .status = Status::InProgress,
                          .attempt = 1};
        RunStore store(_database.writer());
        store.insert(run);
        store.insert(stage);
        const auto folder = _state.attempt(stage, 1);
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "log") << std::string(bytes, 'x');
        const LogIndexRecord record{.bytes = static_cast<std::uint32_t>(bytes)};
        std::ofstream(folder / "log.idx")
            << std::string(reinterpret_cast<const char*>(&record), sizeof record);
    }

    Client followLog()
    {
        Client client;
        _followers->add(std::make_unique<PlainTransport>(FileDescriptor(client.server())),
                        TextFollower::Wish{.runId = "11111111-1111-4111-8111-111111111111",
                                           .stageId = _stageId},
                        {_followers->room()});
        return client;
    }

    std::size_t roomLeft()
    {
        std::vector<std::shared_ptr<void>> rooms;
        while (auto room = _followers->room())
            rooms.push_back(std::move(room));
        return rooms.size();
    }

    std::string notes()
    {
        const std::lock_guard lock(_mutex);
        return _notes;
    }

    static void within(const std::string& what, const std::function<bool()>& holds)
    {
        for (int i = 0; i < 1000; ++i)
        {
            if (holds())
                return;
            ::poll(nullptr, 0, 10);
        }
        CPPUNIT_FAIL("waited 10 s for " + what);
    }

    const std::string _stageId = "22222222-2222-4222-8222-222222222222";
    FilesFolder _folder;
    StateFolder _state{_folder.path() / "state"};
    Database _database{_state.record()};
    std::mutex _mutex;
    std::string _notes; // guarded by _mutex
    std::optional<Followers> _followers;
};

} // namespace agent

CPPUNIT_TEST_SUITE_REGISTRATION(agent::FollowersTest);
