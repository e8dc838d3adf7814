#include "agent/Config.h"

#include "agent/model/Timestamp.h"

#include <Poco/Exception.h>
#include <Poco/StringTokenizer.h>
#include <Poco/Util/AbstractConfiguration.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

const std::set<std::string> known{
    "auth.required",   "http.address",   "http.port",          "http.hosts",        "state.dir",
    "services.dir",    "plugins.dir",    "secrets.dir",        "executor.slots",    "stage.timeout",
    "stage.grace",     "logs.max_bytes", "disk.min_free",      "stage.stuck_after", "runs.keep",
    "runs.keep_count", "workspace.keep", "logs.compress_after"};

/// `stage.stuck_after.<TYPE>` says it for the stages of a type.
const std::string stuckAfter = "stage.stuck_after";

bool isKnown(const std::string& key)
{
    return known.contains(key) || (key.starts_with(stuckAfter + ".") &&
                                   stageTypeFrom(key.substr(stuckAfter.size() + 1)).has_value());
}

class Reader
{
public:
    Reader(const Poco::Util::AbstractConfiguration& values, const std::filesystem::path& file,
           std::vector<Problem>& problems)
        : _values(values), _file(file), _problems(problems)
    {
    }

    [[nodiscard]] std::string text(const std::string& key, const std::string& byDefault) const
    {
        return _values.getString(key, byDefault);
    }

    template <typename Parse>
    auto read(const std::string& key, const std::string& byDefault, const char* expected,
              Parse parse) const
    {
        const std::string given = text(key, byDefault);
        const auto value = parse(given);
        if (!value)
            complain(key, std::string("expected ") + expected + ", found '" + given + "'");
        return value ? *value : *parse(byDefault);
    }

    void complain(const std::string& key, const std::string& message) const
    {
        _problems.push_back({_file.string(), lineOf(key), key, message});
    }

    /// Keys that the file gives and nobody knows: mostly a slip of the pen.
    void refuseUnknown() const
    {
        std::ifstream file(_file);
        std::string line;
        while (std::getline(file, line))
            if (const std::string key = keyOf(line); !key.empty() && !isKnown(key))
                complain(key, "unknown key; conf/stage-agent.properties lists all");
    }

private:
    static std::string keyOf(const std::string& line)
    {
        const auto begin = line.find_first_not_of(" \t\r");
        if (begin == std::string::npos || line[begin] == '#' || line[begin] == '!')
            return "";
        const auto end = line.find_first_of("=: \t\r", begin);
        return line.substr(begin, end == std::string::npos ? end : end - begin);
    }

    [[nodiscard]] int lineOf(const std::string& key) const
    {
        std::ifstream file(_file);
        std::string line;
        for (int number = 1; std::getline(file, line); ++number)
            if (keyOf(line) == key)
                return number;
        return 0; // given by -D
    }

    const Poco::Util::AbstractConfiguration& _values;
    const std::filesystem::path& _file;
    std::vector<Problem>& _problems;
};

std::optional<std::int64_t> wholeFrom(const std::string& text, std::int64_t least,
                                      std::int64_t most)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        return std::nullopt;
    return value;
}

std::filesystem::path defaultState()
{
    std::filesystem::path system = "/var/lib/stage-agent";
    std::error_code error; // a folder that we may not even see is none of ours
    const auto probe =
        std::filesystem::exists(system, error) || error ? system : system.parent_path();
    if (::access(probe.c_str(), W_OK) == 0)
        return system;
    if (const char* xdg = std::getenv("XDG_STATE_HOME"); xdg && *xdg == '/')
        return std::filesystem::path(xdg) / "stage-agent";
    const char* home = std::getenv("HOME");
    return std::filesystem::path(home ? home : "/tmp") / ".local/state/stage-agent";
}

} // namespace

Config readConfig(const Poco::Util::AbstractConfiguration& values,
                  const std::filesystem::path& file, std::vector<Problem>& problems)
{
    const Reader reader(values, file, problems);
    reader.refuseUnknown();
    const std::filesystem::path base =
        file.empty() ? "/etc/stage-agent" : std::filesystem::absolute(file).parent_path();
    if (reader.text("auth.required", "false") != "false")
        reader.complain("auth.required",
                        "tokens are not there yet: only 'false' is possible, and the "
                        "API belongs on loopback");
    Config config;
    config.httpAddress = reader.text("http.address", "127.0.0.1");
    config.httpPort = static_cast<std::uint16_t>(
        reader.read("http.port", "7824", "a port from 0 to 65535",
                    [](const std::string& text) { return wholeFrom(text, 0, 65535); }));
    const Poco::StringTokenizer hosts(reader.text("http.hosts", ""), ",",
                                      Poco::StringTokenizer::TOK_TRIM |
                                          Poco::StringTokenizer::TOK_IGNORE_EMPTY);
    config.httpHosts.assign(hosts.begin(), hosts.end());
    config.stateDir = reader.text("state.dir", "");
    if (config.stateDir.empty())
        config.stateDir = defaultState();
    config.servicesDir = reader.text("services.dir", (base / "services.d").string());
    config.pluginsDir = reader.text("plugins.dir", (base / "plugins").string());
    config.secretsDir = reader.text("secrets.dir", (base / "secrets").string());
    const auto cores = std::to_string(std::max(1U, std::thread::hardware_concurrency()));
    config.slots = static_cast<int>(
        reader.read("executor.slots", cores, "a whole number from 1 to 1000",
                    [](const std::string& text) { return wholeFrom(text, 1, 1000); }));
    config.stageTimeoutMs =
        reader.read("stage.timeout", "60m", "a time such as 90s, 60m or 2h", parseDurationMs);
    config.stageGraceMs =
        reader.read("stage.grace", "10s", "a time such as 500ms, 10s or 1m", parseDurationMs);
    constexpr const char* aTimeOrNone = "a time such as 10m or 1h, or 0 for never";
    config.stuckAfterMs = reader.read(stuckAfter, "10m", aTimeOrNone, parseDurationMs);
    for (const StageType type : allStageTypes)
        if (const std::string key = stuckAfter + "." + std::string(toString(type));
            !reader.text(key, "").empty())
            config.stuckAfterByType[type] = reader.read(key, "0", aTimeOrNone, parseDurationMs);
    config.logMaxBytes =
        reader.read("logs.max_bytes", "1GiB", "a size such as 64MiB or 1GiB", parseBytes);
    config.diskMinFree =
        reader.read("disk.min_free", "1GiB", "a size such as 512MiB or 1GiB", parseBytes);
    const auto keep = [&reader](const char* key, const char* byDefault) {
        return reader.read(key, byDefault, "a time such as 1h or 30d; 0: for ever",
                           parseDurationMs);
    };
    config.runsKeepMs = keep("runs.keep", "30d");
    config.runsKeepCount =
        reader.read("runs.keep_count", "10000", "a whole number; 0: no limit",
                    [](const std::string& text) { return wholeFrom(text, 0, 1'000'000'000); });
    config.workspaceKeepMs = keep("workspace.keep", "24h");
    config.logsCompressAfterMs = keep("logs.compress_after", "1h");
    return config;
}

} // namespace agent
