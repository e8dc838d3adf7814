// Both ends of `bench/followers`: what the stage runs, and its followers.
//   bench-followers print LINES PER_SECOND          lines `NANOSECONDS NUMBER`, one write each
//   bench-followers follow PORT TARGET COUNT LINES  COUNT clients; checks that each gets every line once
#include <algorithm>
#include <arpa/inet.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace
{

std::int64_t nowNs()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

[[noreturn]] void fail(const std::string& why)
{
    std::fprintf(stderr, "bench-followers: %s\n", why.c_str());
    std::exit(1);
}

int print(long lines, long perSecond)
{
    timespec next{};
    ::clock_gettime(CLOCK_MONOTONIC, &next);
    for (long i = 1; i <= lines; ++i)
    {
        next.tv_nsec += 1'000'000'000 / perSecond;
        if (next.tv_nsec >= 1'000'000'000)
        {
            ++next.tv_sec;
            next.tv_nsec -= 1'000'000'000;
        }
        ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
        char line[64];
        const int size =
            std::snprintf(line, sizeof line, "%lld %ld\n", static_cast<long long>(nowNs()), i);
        if (::write(1, line, static_cast<std::size_t>(size)) != size)
            return 1;
    }
    return 0;
}

struct Follower
{
    int fd = -1;
    long lines = 0;
    std::string rest;
};

/// Where a line of a log, or the message of a `log` event, begins; npos: it is none.
std::size_t lineBegin(std::string_view line)
{
    constexpr std::string_view mark = "\"message\":\"";
    if (!line.empty() && line.front() >= '0' && line.front() <= '9')
        return 0;
    const std::size_t at = line.starts_with("data: ") ? line.find(mark) : line.npos;
    return at == line.npos ? at : at + mark.size();
}

/// Takes the lines of `bytes`; what is left of a last one is kept.
void take(Follower& follower, std::string_view bytes, std::vector<std::int32_t>& latencies)
{
    const std::int64_t now = nowNs();
    follower.rest += bytes;
    std::string_view text = follower.rest;
    for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1))
    {
        const std::size_t begin = lineBegin(text.substr(0, end));
        if (begin == text.npos)
            continue;
        char* after = nullptr;
        const std::int64_t written = std::strtoll(text.data() + begin, &after, 10);
        const long number = std::strtol(after, nullptr, 10);
        if (number != follower.lines + 1)
            fail("line " + std::to_string(number) + " came after " +
                 std::to_string(follower.lines));
        ++follower.lines;
        latencies.push_back(static_cast<std::int32_t>((now - written) / 1000));
    }
    follower.rest.erase(0, follower.rest.size() - text.size());
}

int connectTo(int port, const std::string& target)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail("cannot connect");
    const std::string request =
        "GET " + target + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
        "\r\nAuthorization: Bearer " + std::getenv("STAGE_AGENT_TOKEN") + "\r\n\r\n";
    if (::write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
        fail("cannot ask");
    std::string head;
    char byte = 0;
    while (!head.ends_with("\r\n\r\n") && ::read(fd, &byte, 1) == 1)
        head += byte;
    if (!head.starts_with("HTTP/1.1 200"))
        fail("refused: " + head);
    return fd;
}

int follow(int port, const std::string& target, std::size_t count, long lines)
{
    const int epoll = ::epoll_create1(0);
    std::vector<Follower> followers(count);
    for (std::size_t i = 0; i < count; ++i)
    {
        followers[i].fd = connectTo(port, target);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = i;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, followers[i].fd, &event);
    }
    std::puts("ready"); // tells the script to let the stage begin
    std::fflush(stdout);

    std::vector<std::int32_t> latencies;
    latencies.reserve(count * static_cast<std::size_t>(lines));
    std::size_t done = 0;
    std::vector<char> buffer(1 << 16);
    std::vector<epoll_event> events(256);
    while (done < count)
    {
        const int ready = ::epoll_wait(epoll, events.data(), 256, 60'000);
        if (ready <= 0)
            fail("nothing for 60 s; " + std::to_string(done) + " clients have all lines");
        for (int i = 0; i < ready; ++i)
        {
            Follower& follower = followers[events[static_cast<std::size_t>(i)].data.u64];
            const ssize_t got = ::read(follower.fd, buffer.data(), buffer.size());
            if (got > 0)
                take(follower, {buffer.data(), static_cast<std::size_t>(got)}, latencies);
            if (got > 0 && follower.lines < lines)
                continue;
            if (follower.lines != lines)
                fail("ended after " + std::to_string(follower.lines) + " lines");
            ::epoll_ctl(epoll, EPOLL_CTL_DEL, follower.fd, nullptr);
            ++done;
        }
    }
    std::sort(latencies.begin(), latencies.end());
    const auto at = [&](double part)
    {
        return latencies[static_cast<std::size_t>(part *
                                                  static_cast<double>(latencies.size() - 1))] /
               1000.0;
    };
    std::printf("%zu followers x %ld lines: each got every line once; line to follower, ms: "
                "p50 %.1f, p99 %.1f, max %.1f\n",
                count, lines, at(0.5), at(0.99), at(1));
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 4 && std::strcmp(argv[1], "print") == 0)
        return print(std::atol(argv[2]), std::atol(argv[3]));
    if (argc == 6 && std::strcmp(argv[1], "follow") == 0)
        return follow(std::atoi(argv[2]), argv[3], static_cast<std::size_t>(std::atol(argv[4])),
                      std::atol(argv[5]));
    fail("usage: print LINES PER_SECOND | follow PORT TARGET COUNT LINES");
}
