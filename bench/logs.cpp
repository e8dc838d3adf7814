// Both ends of `bench/logs`: what the stages print, and a client that asks meanwhile.
//   bench-logs lines N         N lines of 100 bytes; each 1,000th has the value of $SECRET_1 … $SECRET_5, or
//                              *** where there is none
//   bench-logs base64 N        the same, of random base64
//   bench-logs line BYTES      one line of that size
//   bench-logs binary BYTES    bytes of all values
//   bench-logs endless SECONDS lines as fast as they are taken
//   bench-logs ask PORT TARGET MS   GET each 10 ms, for MS; prints how long the answers took
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

constexpr std::size_t lineBytes = 100;
constexpr std::size_t blockBytes = 64UL * 1024;

[[noreturn]] void fail(const std::string& why)
{
    std::fprintf(stderr, "bench-logs: %s\n", why.c_str());
    std::exit(1);
}

void put(std::string_view bytes)
{
    while (!bytes.empty())
    {
        const ssize_t n = ::write(1, bytes.data(), bytes.size());
        if (n <= 0)
            std::exit(1);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

/// Lines as a build prints them. They are made once: the printing shall cost next to nothing.
std::vector<std::string> templates()
{
    constexpr std::array words = {
        "Building CXX object agent/store/", "-O2 -g -std=c++20 -Wall ",
        "Linking CXX executable bin/",      "warning: unused variable ",
        "node_modules/.cache/terser/",      "    at Object.<anonymous> (",
        "OK: 128 tests in 3.25 s; ",        "Downloading https://repo.example/",
        "sha256:9f86d081884c7d659a2feaa0 ", "GET /api/stages 200 12ms "};
    std::uint32_t random = 7;
    std::vector<std::string> lines(64);
    for (std::string& line : lines)
    {
        line = "[0000000] ";
        while (line.size() < lineBytes - 1)
            line += words[((random = random * 1664525 + 1013904223) >> 16U) % words.size()];
        line.resize(lineBytes - 1);
        line += '\n';
    }
    return lines;
}

/// Enough of them that none is in the processor's cache for long.
std::vector<std::string> base64Templates()
{
    constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::uint32_t random = 7;
    std::vector<std::string> lines(20000);
    for (std::string& line : lines)
    {
        line = "[0000000] ";
        while (line.size() < lineBytes - 1)
            line += letters[((random = random * 1664525 + 1013904223) >> 16U) % letters.size()];
        line += '\n';
    }
    return lines;
}

int printLines(const std::vector<std::string>& lines, std::uint64_t count, Clock::time_point until)
{
    std::array<std::string, 5> secrets;
    for (std::size_t i = 0; i < secrets.size(); ++i)
    {
        const char* const value = std::getenv(("SECRET_" + std::to_string(i + 1)).c_str());
        secrets[i] = value != nullptr ? value : "***";
    }
    std::string block;
    for (std::uint64_t i = 0; i < count; ++i)
    {
        const std::size_t at = block.size();
        block += lines[i % lines.size()];
        std::uint64_t number = i;
        for (std::size_t digit = 7; digit > 0; --digit, number /= 10)
            block[at + digit] = static_cast<char>('0' + number % 10);
        if (i % 1000 == 999)
            block.replace(at + 40, 20, "token=" + secrets[i / 1000 % secrets.size()] + " ");
        if (block.size() < blockBytes && i + 1 < count)
            continue;
        put(block);
        block.clear();
        if (Clock::now() > until)
            break;
    }
    return 0;
}

int printBytes(std::uint64_t size, bool binary)
{
    std::string block(blockBytes, 'x');
    std::uint64_t random = 88172645463325252U;
    if (binary)
        for (char& byte : block)
        {
            random ^= random << 13U;
            random ^= random >> 7U;
            random ^= random << 17U;
            byte = static_cast<char>(random >> 24U);
        }
    for (std::uint64_t left = size; left > 0; left -= std::min<std::uint64_t>(left, block.size()))
        put(std::string_view(block).substr(0, left));
    return 0;
}

int connectTo(int port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail("cannot connect");
    return fd;
}

/// One request on a connection of its own, from the connect to the last byte.
void ask(int port, const std::string& target)
{
    const int fd = connectTo(port);
    const std::string request = "GET " + target +
                                " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
                                "\r\nAuthorization: Bearer " + std::getenv("STAGE_AGENT_TOKEN") +
                                "\r\nConnection: close\r\n\r\n";
    if (::write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
        fail("cannot ask");
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    ::close(fd);
    if (!answer.starts_with("HTTP/1.1 200"))
        fail("refused: " + answer);
}

int askFor(int port, const std::string& target, std::chrono::milliseconds time)
{
    std::vector<double> ms;
    const Clock::time_point end = Clock::now() + time;
    for (Clock::time_point next = Clock::now(); next < end; next += std::chrono::milliseconds(10))
    {
        std::this_thread::sleep_until(next);
        // From when it was due: an answer that is late must not hide that the next ones would be as well.
        ask(port, target);
        ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - next).count());
    }
    std::sort(ms.begin(), ms.end());
    const auto at = [&ms](double part)
    { return ms[static_cast<std::size_t>(part * static_cast<double>(ms.size() - 1))]; };
    std::printf("%zu answers, ms: p50 %.1f, p99 %.1f, max %.1f\n", ms.size(), at(0.5), at(0.99),
                at(1));
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    const std::string what = argc > 1 ? argv[1] : "";
    const std::uint64_t size = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (argc == 3 && what == "lines")
        return printLines(templates(), size, Clock::time_point::max());
    if (argc == 3 && what == "base64")
        return printLines(base64Templates(), size, Clock::time_point::max());
    if (argc == 3 && what == "endless")
        return printLines(templates(), ~std::uint64_t{0},
                          Clock::now() + std::chrono::seconds(size));
    if (argc == 3 && (what == "line" || what == "binary"))
        return printBytes(size, what == "binary");
    if (argc == 5 && what == "ask")
        return askFor(static_cast<int>(size), argv[3],
                      std::chrono::milliseconds(std::atol(argv[4])));
    fail("usage: lines N | base64 N | line BYTES | binary BYTES | endless SECONDS | ask PORT "
         "TARGET MS");
}
