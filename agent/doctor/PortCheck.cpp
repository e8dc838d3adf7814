#include "agent/doctor/Checks.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/process/ProcessTree.h"
#include "agent/wire/KeeperMessage.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/URI.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace agent::doctor
{

namespace fs = std::filesystem;

using Poco::Net::SocketAddress;

namespace
{

/// Returns the sockets that listen on this port, as `socket:[1234]`. Source: proc_net_tcp.rst.
std::set<std::string> listenersOn(std::uint16_t port)
{
    std::set<std::string> sockets;
    for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"})
    {
        std::istringstream lines(readFile(table).value_or(""));
        std::string line;
        std::getline(lines, line); // the headings
        while (std::getline(lines, line))
        {
            std::istringstream words(line);
            std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
            words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
                timeout >> inode;
            const auto colon = local.rfind(':');
            constexpr const char* listening = "0A";
            if (state == listening && colon != std::string::npos &&
                std::stoul(local.substr(colon + 1), nullptr, 16) == port)
                sockets.insert("socket:[" + inode + "]");
        }
    }
    return sockets;
}

/// Returns the processes that hold one of these sockets, as far as they are visible: several may have the same.
std::vector<ProcessStat> holdersOf(const std::set<std::string>& sockets)
{
    std::vector<ProcessStat> holders;
    for (auto& process : allProcesses())
    {
        std::error_code error;
        const fs::path files = "/proc/" + std::to_string(process.pid) + "/fd";
        for (fs::directory_iterator file(files, error), end; !error && file != end;
             file.increment(error))
        {
            std::error_code gone;
            if (sockets.contains(fs::read_symlink(file->path(), gone).string()))
            {
                holders.push_back(std::move(process));
                break;
            }
        }
    }
    return holders;
}

bool holds(const std::vector<ProcessStat>& holders, int pid)
{
    return std::any_of(holders.begin(), holders.end(),
                       [&](const ProcessStat& holder) { return holder.pid == pid; });
}

bool systemdHolds(const std::vector<ProcessStat>& holders)
{
    return std::any_of(holders.begin(), holders.end(),
                       [](const ProcessStat& holder)
                       { return holder.pid == 1 && holder.comm == "systemd"; });
}

/// Returns the process that holds the port for the next agent of this state folder, as it does while stages run; 0: none.
int keeperOf(const fs::path& state)
{
    std::error_code error;
    const std::string argument = keepArgument + fs::weakly_canonical(state, error).string();
    for (const auto& process : allProcesses())
        if (readFile("/proc/" + std::to_string(process.pid) + "/cmdline").value_or("") ==
            std::string("stage-shim").append(1, '\0').append(argument).append(1, '\0'))
            return process.pid;
    return 0;
}

/// Returns the errno of a bind to the address; 0 if it is free. Does not listen, so no client can connect.
int bindError(const SocketAddress& address)
{
    const FileDescriptor socket(::socket(address.af(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); // as the daemon does
    return ::bind(socket.get(), address.addr(), address.length()) == 0 ? 0 : errno;
}

void checkOurs(const Context& context, Findings& findings)
{
    const Config& config = context.setup.config;
    const auto text = readFile(config.stateDir / "address");
    const std::string who = "the agent with pid " + std::to_string(*context.running);
    if (!text)
        return findings.warn("port", who + " does not listen yet",
                             "it is starting or stopping: check again; journalctl -u stage-agent");
    const std::string url = text->substr(0, text->find('\n'));
    const std::uint16_t port = Poco::URI(url).getPort();
    if (listenersOn(port).empty())
        findings.fail("port", who + " announces " + url + ", but nothing listens there",
                      "systemctl restart stage-agent (stages keep running)");
    else if (config.httpPort != 0 && config.httpPort != port)
        findings.warn(
            "port",
            who + " listens on " + url +
                ", the configuration says http.port = " + std::to_string(config.httpPort),
            "to apply the configuration: systemctl restart stage-agent (stages keep running)");
    else if (config.httpPort != 0 && ::geteuid() == 0 && // others can't see whose sockets they are
             !systemdHolds(holdersOf(listenersOn(port))))
        findings.ok("port",
                    url + ", " + who +
                        ", which listens itself: while it is restarted the port is held only "
                        "as long as a stage runs; a .socket unit always holds it "
                        "(docs/access.md)");
    else
        findings.ok("port", url + ", " + who);
}

/// Returns the address that can't be had, or the first one, and why. The daemon takes the loopback address of
/// the other family too, as far as the host has it.
std::pair<SocketAddress, int> firstTaken(const SocketAddress& address, const User& agents)
{
    const AsUser as(agents); // root may bind what the agent may not
    if (const int error = bindError(address); error != 0)
        return {address, error};
    const std::string host = address.host().toString();
    if (address.port() != 0 && (host == "127.0.0.1" || host == "0.0.0.0"))
    {
        const SocketAddress other("::1", address.port());
        if (bindError(other) == EADDRINUSE)
            return {other, EADDRINUSE};
    }
    return {address, 0};
}

void checkFree(const SocketAddress& wanted, const Context& context, Findings& findings)
{
    const auto [address, error] = firstTaken(wanted, context.agents);
    const std::string seen = address.toString();
    const std::string why = std::generic_category().message(error);
    if (error == EADDRINUSE)
    {
        const auto holders = holdersOf(listenersOn(address.port()));
        if (systemdHolds(holders))
            return findings.ok("port", seen + " is held by systemd for the agent (a .socket unit)");
        const int keeper = keeperOf(context.setup.config.stateDir);
        if (keeper != 0 && (holders.empty() || holds(holders, keeper)))
            return findings.ok("port", seen + " is held for the agent, as its stages run, by pid " +
                                           std::to_string(keeper) + " (docs/access.md)");
        findings.fail("port",
                      seen + " is taken by " +
                          (holders.empty() ? "a process that only root can see"
                                           : holders.front().comm + " (pid " +
                                                 std::to_string(holders.front().pid) + ")"),
                      "end that process, or change http.port");
    }
    else if (error == EADDRNOTAVAIL)
        findings.fail("port", seen + ": no network interface has this address",
                      "set http.address to 127.0.0.1");
    else if (error == EACCES)
        findings.fail("port", seen + ": " + why, "set http.port to 1024 or above");
    else if (error != 0)
        findings.fail("port", seen + ": " + why, "change http.address and http.port");
    else if (address.port() == 0)
        findings.ok("port", seen + ": the kernel picks one at start");
    else
        findings.ok("port", seen + " is free");
}

} // namespace

void checkPort(const Context& context, Findings& findings)
{
    const Config& config = context.setup.config;
    try
    {
        const SocketAddress address(config.httpAddress, config.httpPort);
        if (context.running)
            checkOurs(context, findings);
        else
            checkFree(address, context, findings);
    }
    catch (const Poco::Exception& error)
    {
        findings.fail("port", "http.address: " + error.displayText(),
                      "set http.address to 127.0.0.1");
    }
}

} // namespace agent::doctor
