#include "agent/process/SocketPeers.h"

#include "agent/os/Files.h"

#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>

namespace agent
{

namespace
{

constexpr int connecting = 2; // TCP_SYN_SENT
constexpr int listening = 10; // TCP_LISTEN

/// Returns `0100007F:1538` as `127.0.0.1:5432`: words of 32 bits in the host's order, then the port.
std::string addressFrom(const std::string& hex)
{
    const auto colon = hex.find(':');
    const bool six = colon == 32;
    if (colon != 8 && !six)
        return "";
    std::array<std::uint32_t, 4> words{};
    for (std::size_t i = 0; i < colon / 8; ++i)
        words[i] =
            static_cast<std::uint32_t>(std::strtoul(hex.substr(i * 8, 8).c_str(), nullptr, 16));
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(six ? AF_INET6 : AF_INET, words.data(), text.data(), text.size());
    const std::string host = text.data();
    const auto port = std::strtoul(hex.c_str() + colon + 1, nullptr, 16);
    return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

} // namespace

std::string SocketPeer::words() const
{
    if (listens)
        return "a client to connect to " + address;
    return (connecting ? "a connection to " : "data from ") + address;
}

std::map<std::string, SocketPeer> socketPeers(int pid)
{
    std::map<std::string, SocketPeer> peers;
    for (const char* table : {"tcp", "tcp6"})
    {
        std::istringstream lines(
            readFile("/proc/" + std::to_string(pid) + "/net/" + table).value_or(""));
        std::string line;
        std::getline(lines, line); // the headings
        while (std::getline(lines, line))
        {
            std::istringstream words(line);
            std::string number;
            std::string local;
            std::string remote;
            std::string state;
            std::string skipped;
            std::string inode;
            words >> number >> local >> remote >> state >> skipped >> skipped >> skipped >>
                skipped >> skipped >> inode;
            const auto is = std::strtol(state.c_str(), nullptr, 16);
            peers[inode] = {.address = addressFrom(is == listening ? local : remote),
                            .listens = is == listening,
                            .connecting = is == connecting};
        }
    }
    return peers;
}

std::string inodeOf(const std::string& target)
{
    constexpr std::string_view begins = "socket:[";
    if (!target.starts_with(begins) || target.back() != ']')
        return "";
    return target.substr(begins.size(), target.size() - begins.size() - 1);
}

} // namespace agent
