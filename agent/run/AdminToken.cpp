#include "agent/run/AdminToken.h"

#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/run/TokenSecret.h"
#include "agent/store/TokenStore.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

const std::string adminName = "admin";

/// Returns the secret in the file; empty when there is none that can be read, or others than its owner may read it.
std::string secretIn(const std::string& file)
try
{
    constexpr std::size_t maxBytes = 256;
    const auto opened = RegularFile::open(file);
    struct stat info = {};
    if (!opened || ::fstat(opened->descriptor(), &info) != 0 ||
        (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return ""; // who else could read it may have
    std::string text = opened->text(maxBytes);
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}
catch (const std::system_error&)
{
    return ""; // whatever stands there instead is replaced
}

void write(const std::string& file, const std::string& secret)
{
    const std::string temporary = file + ".tmp";
    const FileDescriptor fd = createFile(temporary, O_WRONLY);
    const auto fail = [](const std::string& name)
    { throw std::system_error(errno, std::generic_category(), "can't write " + name); };
    if (!fd.valid() || !writeAll(fd.get(), secret + "\n") || ::fsync(fd.get()) != 0)
        fail(temporary);
    FAILPOINT("admin-token");
    if (std::rename(temporary.c_str(), file.c_str()) != 0)
        fail(file);
}

} // namespace

bool ensureAdminToken(const StateFolder& state, Database& database)
{
    const std::string file = state.root() / "admin.token";
    TokenStore store(database.writer());
    const auto known = store.find(adminName);
    const std::string secret = secretIn(file);
    if (known && known->role == Role::Admin && !known->expiresAt && !secret.empty() &&
        equalDigests(known->digest, digestOf(secret)))
        return false;
    const std::string made = newSecret("sat_");
    {
        // Before the file: a crash in between is mended by the next start.
        Transaction transaction(database.writer());
        store.remove(adminName);
        store.insert({.name = adminName,
                      .role = Role::Admin,
                      .digest = digestOf(made),
                      .createdAt = nowMs()});
        transaction.commit();
    }
    write(file, made);
    return true;
}

} // namespace agent
