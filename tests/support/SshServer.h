#pragma once

#include <Poco/Net/ServerSocket.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/// OpenSSH's sshd on loopback, one process a connection (`sshd -i`), which lets this user in with one key. Where sshd is not
/// installed (openssh-server), available() is false.
class SshServer
{
public:
    static constexpr const char* program = "/usr/sbin/sshd";

    static bool available() { return ::access(program, X_OK) == 0; }

    /// `folder`: has host_key and user_key (as made by ssh-keygen), and their .pub.
    explicit SshServer(std::filesystem::path folder)
        : _folder(std::move(folder)), _socket(Poco::Net::SocketAddress("127.0.0.1", 0))
    {
        if (::geteuid() == 0)
            ::mkdir("/run/sshd", 0755); // its empty folder; the init script of the package makes it
        std::ofstream(_folder / "config")
            << "HostKey " << (_folder / "host_key").string() << "\nAuthorizedKeysFile "
            << (_folder / "user_key.pub").string()
            << "\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
               "KbdInteractiveAuthentication no\nPidFile none\nLogLevel ERROR\n";
        _thread = std::thread([this] { serve(); });
    }
    ~SshServer()
    {
        _ending = true;
        _thread.join();
        for (const pid_t child : _children)
        {
            ::kill(child, SIGTERM);
            ::waitpid(child, nullptr, 0);
        }
    }
    SshServer(const SshServer&) = delete;
    SshServer& operator=(const SshServer&) = delete;

    [[nodiscard]] std::string url(const std::filesystem::path& repository) const
    {
        return "ssh://" + userName() + "@127.0.0.1:" + port() + repository.string();
    }

    /// A line of known_hosts with this key, `TYPE BASE64 …`.
    [[nodiscard]] std::string knownAs(const std::string& key) const
    {
        return "[127.0.0.1]:" + port() + " " + key;
    }

    [[nodiscard]] int connections() const { return _connections; }

private:
    static std::string userName()
    {
        return ::geteuid() == 0 ? "root" : std::string(::getlogin() ? ::getlogin() : "");
    }

    [[nodiscard]] std::string port() const { return std::to_string(_socket.address().port()); }

    void serve()
    {
        while (!_ending)
        {
            if (!_socket.poll(Poco::Timespan(0, 50'000), Poco::Net::Socket::SELECT_READ))
                continue;
            const Poco::Net::StreamSocket client = _socket.acceptConnection();
            ++_connections;
            const int fd = client.impl()->sockfd();
            posix_spawn_file_actions_t actions;
            posix_spawn_file_actions_init(&actions);
            posix_spawn_file_actions_adddup2(&actions, fd, 0);
            posix_spawn_file_actions_adddup2(&actions, fd, 1);
            posix_spawn_file_actions_addopen(&actions, 2, (_folder / "said").c_str(),
                                             O_WRONLY | O_CREAT | O_APPEND, 0600);
            posix_spawn_file_actions_addclosefrom_np(&actions, 3);
            std::string config = _folder / "config";
            std::string path = program;
            std::string once = "-i";
            std::string file = "-f";
            char* argv[] = {path.data(), once.data(), file.data(), config.data(), nullptr};
            char* env[] = {nullptr};
            pid_t pid = -1;
            if (posix_spawn(&pid, program, &actions, nullptr, argv, env) == 0)
                _children.push_back(pid);
            posix_spawn_file_actions_destroy(&actions);
        }
    }

    std::filesystem::path _folder;
    Poco::Net::ServerSocket _socket;
    std::atomic<bool> _ending{false};
    std::atomic<int> _connections{0};
    std::vector<pid_t> _children;
    std::thread _thread;
};
