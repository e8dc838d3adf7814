#pragma once

#include <map>
#include <string>
#include <vector>

namespace agent::git
{

/// A file in memory that git's programs may read; nothing of it is on disk.
class MemoryFile
{
public:
    MemoryFile() = default;

    /// Errors: Failure.
    MemoryFile(const char* name, const std::string& content);
    MemoryFile(MemoryFile&& other) noexcept;
    MemoryFile& operator=(MemoryFile&& other) noexcept;
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile();

    [[nodiscard]] int descriptor() const { return _descriptor; }

private:
    int _descriptor = -1; ///< closed in programs that it is not passed to
};

/// What a service fetches its repository with, and others on the same host: docs/secrets.md. The agent names the variable
/// that has it (`STAGE_AGENT_CREDENTIAL`) and the repository whose host it is for (`STAGE_AGENT_CREDENTIAL_FOR`); a token has
/// `STAGE_AGENT_CREDENTIAL_USER`, an ssh key `STAGE_AGENT_KNOWN_HOSTS`.
class Credential
{
public:
    /// None.
    Credential() = default;

    /// Takes it out of the environment of this process: a checkout may run as the same user.
    /// Errors: Failure if it can't be used.
    static Credential take();

    /// Whether it is for this address: the same protocol, host and port as the service's repository.
    [[nodiscard]] bool covers(const std::string& url) const;

    /// What git needs of it.
    struct Given
    {
        std::map<std::string, std::string> env;
        std::vector<int> descriptors; ///< to be passed to it
    };
    [[nodiscard]] Given given() const;

    /// Returns a text that differs with each credential; empty for none. It goes into a hash, and nowhere else.
    [[nodiscard]] std::string identity() const { return _user + "\n" + _secret; }

private:
    std::string _place; ///< what it is for; empty: none
    std::string _user;  ///< of a token; empty: it is an ssh key
    std::string _secret;
    MemoryFile _key;
    MemoryFile _knownHosts;
};

} // namespace agent::git
