#include "plugins/git/Credential.h"

#include "plugins/git/Program.h"
#include "plugins/git/Url.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::git
{

namespace
{

/// Leaves nothing of it in what /proc shows of our environment. Not by PR_SET_DUMPABLE: the shim has to find us there.
std::string taken(const std::string& name)
{
    char* value = std::getenv(name.c_str());
    if (value == nullptr)
        return "";
    std::string copy = value;
    ::explicit_bzero(value, copy.size());
    ::unsetenv(name.c_str());
    return copy;
}

/// As the program of git that opens it knows the file: ssh closes what it inherits, and its parent is the shell that
/// starts it, whose parent is git.
std::string pathOf(const MemoryFile& file)
{
    return "/proc/$PPID/fd/" + std::to_string(file.descriptor());
}

} // namespace

MemoryFile::MemoryFile(const char* name, const std::string& content)
    : _descriptor(::memfd_create(name, MFD_CLOEXEC))
{
    const char* from = content.data();
    std::size_t left = content.size();
    while (_descriptor >= 0 && left > 0)
    {
        const ssize_t n = ::write(_descriptor, from, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        from += n;
        left -= static_cast<std::size_t>(n);
    }
    // ssh refuses a key that others may read. A program that has it as its stdin reads from the beginning.
    if (_descriptor < 0 || left > 0 || ::fchmod(_descriptor, S_IRUSR) != 0 ||
        ::lseek(_descriptor, 0, SEEK_SET) != 0)
        throw Failure(std::string("git: no memory for a file: ") + std::strerror(errno));
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : _descriptor(std::exchange(other._descriptor, -1))
{
}

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept
{
    std::swap(_descriptor, other._descriptor);
    return *this;
}

MemoryFile::~MemoryFile()
{
    if (_descriptor >= 0)
        ::close(_descriptor);
}

Credential Credential::take()
{
    Credential credential;
    const std::string name = taken("STAGE_AGENT_CREDENTIAL");
    const std::string repository = taken("STAGE_AGENT_CREDENTIAL_FOR");
    const std::string knownHosts = taken("STAGE_AGENT_KNOWN_HOSTS");
    credential._user = taken("STAGE_AGENT_CREDENTIAL_USER");
    if (name.empty())
        return credential;
    credential._secret = taken(name);
    credential._place = hostPlace(repository);
    if (credential._secret.empty() || credential._place.empty())
        throw Failure("git: the credential " + name + " of the service is empty");
    if (!credential._user.empty())
    {
        if (credential._secret.find_first_of("\r\n") != std::string::npos)
            throw Failure("git: the token " + name + " of the service has more than one line");
        return credential;
    }
    credential._key = MemoryFile("git-key", credential._secret + "\n");
    credential._knownHosts = MemoryFile("git-known-hosts", knownHosts + "\n");
    return credential;
}

bool Credential::covers(const std::string& url) const
{
    return !_place.empty() && hostPlace(url) == _place;
}

Credential::Given Credential::given() const
{
    if (!_user.empty())
        // The first empties the list of helpers; the second is asked for this place alone, also after a redirect. The
        // shell's own printf has no arguments that others could see.
        return {.env = {{"GIT_CONFIG_COUNT", "2"},
                        {"GIT_CONFIG_KEY_0", "credential.helper"},
                        {"GIT_CONFIG_VALUE_0", ""},
                        {"GIT_CONFIG_KEY_1", "credential." + _place + ".helper"},
                        {"GIT_CONFIG_VALUE_1",
                         R"(!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' )"
                         R"("$STAGE_AGENT_USER" "$STAGE_AGENT_TOKEN"; }; f)"},
                        {"STAGE_AGENT_USER", _user},
                        {"STAGE_AGENT_TOKEN", _secret}},
                .descriptors = {}};
    return {.env = {{"GIT_SSH_VARIANT", "ssh"},
                    {"GIT_SSH_COMMAND",
                     "ssh -F /dev/null -oBatchMode=yes -oConnectTimeout=30 -oIdentitiesOnly=yes "
                     "-oIdentityAgent=none -oIdentityFile=" +
                         pathOf(_key) + " -oUserKnownHostsFile=" + pathOf(_knownHosts) +
                         " -oGlobalKnownHostsFile=/dev/null -oStrictHostKeyChecking=yes "
                         "-oUpdateHostKeys=no -oPreferredAuthentications=publickey"}},
            .descriptors = {_key.descriptor(), _knownHosts.descriptor()}};
}

} // namespace agent::git
