#include "agent/Config.h"

#include "agent/ConfigText.h"
#include "agent/api/BasePath.h"
#include "agent/document/Properties.h"
#include "agent/model/Suggestion.h"
#include "agent/model/Timestamp.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/String.h>

#include <cstdlib>
#include <cstring>
#include <grp.h>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

const std::string loopback = "127.0.0.1";

/// `stage.stuck_after.<TYPE>` says it for the stages of a type.
const std::string stuckAfter = "stage.stuck_after";

const std::set<std::string>& knownKeys()
{
    static const std::set<std::string> known = []
    {
        std::istringstream names(
            "auth.required auth.proxy_header metrics.public http.address http.port "
            "http.hosts http.socket http.tls_certificate http.tls_key http.plain "
            "http.base_path auth.operators_group state.dir services.dir plugins.dir "
            "secrets.dir executor.slots stage.timeout stage.grace logs.max_bytes "
            "caches.max_bytes caches.timeout disk.min_free disk.min_free_inodes runs.keep "
            "runs.keep_count runs.queue_max workspace.keep logs.compress_after "
            "mirrors.keep outbox.dir outbox.keep outbox.max outbox.ca_file http.public_url "
            "hooks.secret git.config isolation.default isolation.none_allowed "
            "isolation.binds artifacts.keep artifacts.max_bytes artifacts.max_files "
            "artifacts.timeout ");
        std::set<std::string> keys{std::istream_iterator<std::string>(names), {}};
        keys.insert(stuckAfter);
        for (const StageType type : allStageTypes)
            keys.insert(stuckAfter + "." + std::string(toString(type)));
        return keys;
    }();
    return known;
}

/// Reports unknown keys, which are mostly misspelt.
void refuseUnknown(const Properties& source)
{
    const std::vector<std::string_view> known(knownKeys().begin(), knownKeys().end());
    for (const auto& key : source.keys())
        if (!knownKeys().contains(key))
        {
            const std::string near = suggestion(key, known);
            source.complain(key, near.empty() ? "unknown key; stage-agent.properties lists all"
                                              : "unknown key" + near);
        }
}

template <typename Parse>
auto read(const Properties& source, const std::string& key, const std::string& byDefault,
          const char* expected, Parse parse)
{
    const std::string given = source.said(key).value_or(byDefault);
    const auto value = parse(given);
    if (!value)
        source.complain(key, std::string("expected ") + expected + ", found '" + given + "'");
    return value ? *value : *parse(byDefault);
}

std::filesystem::path defaultState()
{
    std::filesystem::path system = "/var/lib/stage-agent";
    std::error_code error; // an inaccessible folder counts as missing
    const auto probe =
        std::filesystem::exists(system, error) || error ? system : system.parent_path();
    if (::access(probe.c_str(), W_OK) == 0)
        return system;
    if (const char* xdg = std::getenv("XDG_STATE_HOME"); xdg && *xdg == '/')
        return std::filesystem::path(xdg) / "stage-agent";
    const char* home = std::getenv("HOME");
    return std::filesystem::path(home ? home : "/tmp") / ".local/state/stage-agent";
}

const std::string plainSentence = "yes, a proxy speaks TLS for me";

/// Returns false too for what is no address of this host.
bool isLoopback(const std::string& address)
try
{
    return Poco::Net::SocketAddress(address, 0).host().isLoopback();
}
catch (const Poco::Exception&)
{
    return false;
}

/// Returns why the address is refused; empty if it is not. Tokens must not cross a network in the clear.
std::string addressProblem(const Config& config)
try
{
    // First, for an address that is none shall be told of with TLS too.
    const bool local = Poco::Net::SocketAddress(config.httpAddress, 0).host().isLoopback();
    if (local || !config.tlsCertificate.empty() || config.plainBehindProxy)
        return "";
    return config.httpAddress +
           " is not loopback, and without TLS all that is sent there can be read on the way. Set "
           "http.tls_certificate and http.tls_key; or listen on 127.0.0.1, and connect through "
           "ssh -L or a proxy that speaks TLS; or, where the proxy is on another host, say "
           "http.plain = " +
           plainSentence;
}
catch (const Poco::Exception&)
{
    return "expected an address of this host such as 127.0.0.1, found '" + config.httpAddress + "'";
}

/// `credential:NAME` is a credential of systemd: also for a doctor outside of the unit.
std::filesystem::path credential(const std::string& name)
{
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    return std::filesystem::path(folder != nullptr ? folder
                                                   : "/run/credentials/stage-agent.service") /
           name;
}

/// http.tls_certificate, http.tls_key, http.plain
void readTls(const Properties& source, const std::filesystem::path& file, Config& config)
{
    namespace fs = std::filesystem;
    const auto path = [&](const char* key) -> fs::path
    {
        const std::string said = source.said(key).value_or("");
        const std::string scheme = "credential:";
        if (said.empty())
            return {};
        if (said.starts_with(scheme))
            return credential(said.substr(scheme.size()));
        const fs::path base =
            source.isOfTheFile(key) ? fs::absolute(file).parent_path() : fs::current_path();
        return (base / said).lexically_normal();
    };
    config.tlsCertificate = path("http.tls_certificate");
    config.tlsKey = path("http.tls_key");
    if (config.tlsCertificate.empty() != config.tlsKey.empty())
        source.complain(config.tlsKey.empty() ? "http.tls_certificate" : "http.tls_key",
                        "http.tls_certificate and http.tls_key belong together: set both");
    std::string plain = source.said("http.plain").value_or("");
    if (plain.size() > 1 && plain.front() == '"' && plain.back() == '"')
        plain = plain.substr(1, plain.size() - 2);
    config.plainBehindProxy = plain == plainSentence;
    if (!plain.empty() && !config.plainBehindProxy)
        source.complain("http.plain", "expected nothing, or: " + plainSentence);
}

/// A relative folder is relative to the file, or with -D to the working folder.
void readFolders(const Properties& source, const std::filesystem::path& file, Config& config)
{
    namespace fs = std::filesystem;
    const fs::path base = file.empty() ? "/etc/stage-agent" : fs::absolute(file).parent_path();
    const auto folder = [&](const char* key)
    {
        const fs::path said = source.said(key).value_or("");
        return said.empty() || !source.isOfTheFile(key) ? said : (base / said).lexically_normal();
    };
    const fs::path state = folder("state.dir");
    config.stateDir = state.empty() ? defaultState() : state;
    const auto material = [&](const char* key, const char* beside)
    {
        const fs::path said = folder(key);
        std::error_code error;
        if (!said.empty() && fs::status(said, error).type() == fs::file_type::not_found)
            config.warnings.push_back(source.problem(key, "there is no folder " + said.string()));
        return said.empty() ? base / beside : said;
    };
    config.servicesDir = material("services.dir", "services.d");
    config.pluginsDir = material("plugins.dir", "plugins");
    config.secretsDir = material("secrets.dir", "secrets");
    config.outboxDir = material("outbox.dir", "outbox.d");
    config.outboxCaFile = folder("outbox.ca_file");
    std::error_code missing;
    if (!config.outboxCaFile.empty() && !fs::is_regular_file(config.outboxCaFile, missing))
        source.complain("outbox.ca_file", "there is no file " + config.outboxCaFile.string());
    const fs::path said = folder("git.config");
    const fs::path git = said.empty() ? base / "gitconfig" : fs::absolute(said);
    std::error_code error;
    if (fs::exists(git, error))
        config.gitConfig = git;
    else if (!said.empty())
        config.warnings.push_back(
            source.problem("git.config", "there is no file " + said.string()));
}

/// Returns the group's number. Errors: nothing where there is no such group.
std::optional<gid_t> groupNamed(const std::string& name)
{
    group entry{};
    group* found = nullptr;
    std::vector<char> buffer(65'536); // a group may have thousands of members
    if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr)
        return std::nullopt;
    return found->gr_gid;
}

/// Returns the path of the Unix socket that a systemd .socket unit passes; empty if there is none.
std::filesystem::path passedSocket()
{
    const int count = ::sd_listen_fds(0);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd)
    {
        sockaddr_un address{};
        socklen_t length = sizeof address;
        if (::sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0 &&
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0)
            return std::string(address.sun_path,
                               ::strnlen(address.sun_path, sizeof address.sun_path));
    }
    return {};
}

void readSocket(const Properties& source, const std::filesystem::path& file, Config& config)
{
    namespace fs = std::filesystem;
    const auto said = source.said("http.socket");
    const fs::path passed = said ? fs::path() : passedSocket();
    config.httpSocket = said.value_or((config.stateDir / "api.sock").string());
    if (!passed.empty())
        config.httpSocket = passed;
    if (!config.httpSocket.empty() && source.isOfTheFile("http.socket"))
        config.httpSocket = (fs::absolute(file).parent_path() / config.httpSocket);
    if (!config.httpSocket.empty())
        config.httpSocket = fs::absolute(config.httpSocket).lexically_normal();
    if (!config.httpSocket.empty() && config.httpSocket.filename().empty())
        source.complain("http.socket",
                        "expected the path of a file, found a folder: '" + *said + "'");

    config.operatorsGroup = source.said("auth.operators_group").value_or("");
    // Who may open a passed socket is up to its unit.
    struct stat owned
    {
    };
    if (config.operatorsGroup.empty() && !passed.empty() && ::stat(passed.c_str(), &owned) == 0)
    {
        config.operatorsGroup = std::to_string(owned.st_gid);
        config.operatorsGid = owned.st_gid;
        return;
    }
    if (config.operatorsGroup.empty())
        return;
    config.operatorsGid = groupNamed(config.operatorsGroup);
    if (!config.operatorsGid)
        config.warnings.push_back(
            source.problem("auth.operators_group",
                           "there is no group '" + config.operatorsGroup +
                               "', so nobody but root may use " + config.httpSocket.string() +
                               ": groupadd " + config.operatorsGroup + ", then restart the agent"));
}

/// Who may what: docs/access.md.
void readAccess(const Properties& source, Config& config)
{
    config.authRequired = read(source, "auth.required", "true", "true or false", booleanFrom);
    config.metricsPublic = read(source, "metrics.public", "false", "true or false", booleanFrom);
    config.proxyHeader = Poco::toLower(source.said("auth.proxy_header").value_or(""));
    if (config.proxyHeader.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
            std::string::npos ||
        config.proxyHeader == "authorization" || config.proxyHeader == "host")
        source.complain("auth.proxy_header",
                        "expected the name of a header such as X-Forwarded-User");
    if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); folder && *folder == '/')
        config.credentialsDir = folder;
}

/// isolation.*, and what of the other keys no stage may see: docs/isolation.md.
void readIsolation(const Properties& source, const std::filesystem::path& file, Config& config)
{
    IsolationPolicy& isolation = config.isolation;
    config.isolationChosen = source.said("isolation.default").has_value();
    isolation.byDefault = read(source, "isolation.default", "sandbox", "sandbox or none",
                               [](const std::string& text) { return isolationFrom(text); });
    isolation.noneAllowed = listFrom(source.said("isolation.none_allowed").value_or(""));
    for (const auto& text : listFrom(source.said("isolation.binds").value_or("")))
        if (const auto bind = bindFrom(text))
            isolation.bindable.push_back(*bind);
        else
            source.complain("isolation.binds", "expected absolute paths such as /dev/kvm or "
                                               "/var/cache/ccache:rw, without . and .., found '" +
                                                   text + "'");
    for (const auto& path :
         {config.stateDir, config.secretsDir, config.servicesDir, file, config.tlsKey,
          config.httpSocket, config.credentialsDir, config.gitConfig})
        if (!path.empty())
            isolation.hidden.push_back(std::filesystem::absolute(path).lexically_normal());
}

} // namespace

Config readConfig(const std::filesystem::path& file, const std::vector<std::string>& definitions,
                  std::vector<Problem>& problems)
{
    const Properties source(file, definitions, problems);
    refuseUnknown(source);
    Config config;
    config.httpAddress = source.said("http.address").value_or(loopback);
    readTls(source, file, config);
    if (const auto wrong = addressProblem(config); !wrong.empty())
    {
        source.complain("http.address", wrong);
        config.httpAddress = loopback;
    }
    readAccess(source, config);
    if (!config.authRequired && !isLoopback(config.httpAddress))
        source.complain("auth.required",
                        "only on loopback every request is allowed: everybody who reaches " +
                            config.httpAddress + " could do everything. Remove it");
    config.httpPort = static_cast<std::uint16_t>(
        read(source, "http.port", "7824", "a port from 0 to 65535",
             [](const std::string& text) { return wholeFrom(text, 0, 65535); }));
    config.httpHosts = listFrom(source.said("http.hosts").value_or(""));
    for (const auto& host : config.httpHosts)
        if (!canBeHost(host))
            source.complain("http.hosts", "no request can be for '" + host +
                                              "': expected NAME or NAME:PORT, without scheme, "
                                              "path or wildcard");
    config.httpBasePath = source.said("http.base_path").value_or("");
    while (config.httpBasePath.ends_with('/'))
        config.httpBasePath.pop_back();
    if (!config.httpBasePath.empty() && !isBasePath(config.httpBasePath))
        source.complain("http.base_path", "expected a path of letters, digits and -._~ such as "
                                          "/ci, found '" +
                                              config.httpBasePath + "'");
    config.publicUrl = source.said("http.public_url").value_or("");
    while (config.publicUrl.ends_with('/'))
        config.publicUrl.pop_back();
    if (!config.publicUrl.empty() && !isHttpUrl(config.publicUrl))
        source.complain("http.public_url",
                        "expected a URL such as https://ci.example.org, found '" +
                            config.publicUrl + "'");
    config.hookSecret = source.said("hooks.secret").value_or("");
    if (config.hookSecret.find('/') != std::string::npos || config.hookSecret.starts_with('.'))
        source.complain("hooks.secret", "expected the name of a file in secrets.dir, found '" +
                                            config.hookSecret + "'");
    readFolders(source, file, config);
    readSocket(source, file, config);
    readIsolation(source, file, config);
    const auto cores = std::to_string(std::max(1U, std::thread::hardware_concurrency()));
    config.slots =
        static_cast<int>(read(source, "executor.slots", cores, "a whole number from 1 to 1000",
                              [](const std::string& text) { return wholeFrom(text, 1, 1000); }));
    config.stageTimeoutMs =
        read(source, "stage.timeout", "60m", "a time such as 90s, 60m or 2h", parseDurationMs);
    config.stageGraceMs =
        read(source, "stage.grace", "10s", "a time such as 500ms, 10s or 1m", parseDurationMs);
    constexpr const char* aTimeOrNone = "a time such as 10m or 1h, or 0 for never";
    config.stuckAfterMs = read(source, stuckAfter, "10m", aTimeOrNone, parseDurationMs);
    for (const StageType type : allStageTypes)
        if (const std::string key = stuckAfter + "." + std::string(toString(type));
            source.said(key))
            config.stuckAfterByType[type] = read(source, key, "0", aTimeOrNone, parseDurationMs);
    config.artifactsMaxBytes =
        read(source, "artifacts.max_bytes", "2GiB", "a size such as 64MiB or 2GiB", parseBytes);
    config.artifactsMaxFiles =
        read(source, "artifacts.max_files", "100000", "a whole number; 0: no limit",
             [](const std::string& text) { return wholeFrom(text, 0, 1'000'000); });
    config.artifactsTimeoutMs =
        read(source, "artifacts.timeout", "10m", "a time from 1s to 24h such as 10m",
             [](const std::string& text)
             {
                 const auto ms = parseDurationMs(text);
                 return ms && *ms >= 1'000 && *ms <= 86'400'000 ? ms : std::nullopt;
             });
    config.logMaxBytes =
        read(source, "logs.max_bytes", "1GiB", "a size such as 64MiB or 1GiB", parseBytes);
    config.cachesMaxBytes =
        read(source, "caches.max_bytes", "20GiB", "a size such as 512MiB or 20GiB", parseBytes);
    config.cachesTimeoutMs =
        read(source, "caches.timeout", "10m", "a time such as 90s or 10m", parseDurationMs);
    config.diskMinFree =
        read(source, "disk.min_free", "1GiB", "a size such as 512MiB or 1GiB", parseBytes);
    config.diskMinFreeInodes =
        read(source, "disk.min_free_inodes", "10000", "a whole number; 0: no limit",
             [](const std::string& text) { return wholeFrom(text, 0, INT64_MAX); });
    if (const auto most =
            read(source, "runs.queue_max", "10000", "a whole number; 0: no limit",
                 [](const std::string& text) { return wholeFrom(text, 0, INT32_MAX); });
        most > 0)
        config.queueMax = most;
    const auto keep = [&source](const char* key, const char* byDefault)
    {
        return read(source, key, byDefault,
                    "a time with its unit (ms, s, m, h, d) such as 1h or 30d, or 0 for ever",
                    keptFrom);
    };
    config.runsKeepMs = keep("runs.keep", "30d");
    config.runsKeepCount =
        read(source, "runs.keep_count", "10000", "a whole number; 0: no limit",
             [](const std::string& text) { return wholeFrom(text, 0, 1'000'000'000); });
    config.workspaceKeepMs = keep("workspace.keep", "24h");
    config.artifactsKeepMs = keep("artifacts.keep", "30d");
    config.logsCompressAfterMs = keep("logs.compress_after", "1h");
    config.mirrorsKeepMs = keep("mirrors.keep", "30d");
    config.outboxKeepMs = keep("outbox.keep", "7d");
    config.outboxMax =
        read(source, "outbox.max", "100000", "a whole number; 0: no limit",
             [](const std::string& text) { return wholeFrom(text, 0, 1'000'000'000); });
    return config;
}

} // namespace agent
