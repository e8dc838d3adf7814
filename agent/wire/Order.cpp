#include "agent/wire/Order.h"

#include "agent/wire/JsonObject.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace agent
{
namespace
{

constexpr int anyVersion = std::numeric_limits<int>::max();

/// Parses, checks the version and calls `read`; one place for all that can be wrong.
template <typename File, typename Read>
std::optional<File> readFile(const std::string& json, const char* name, std::string* why, Read read,
                             int newest = wireVersion)
{
    // Usual, for a lock that nobody has claimed yet: the first exception of a process costs it a millisecond.
    if (json.empty())
    {
        if (why != nullptr)
            *why = std::string(name) + " is no JSON";
        return std::nullopt;
    }
    try
    {
        rapidjson::Document document;
        document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
        if (document.HasParseError())
            throw BadFile("is no JSON");
        const ObjectReader reader(document);
        File file;
        file.version = reader.small("version");
        if (file.version < 1 || file.version > newest)
            throw BadFile("is of version " + std::to_string(file.version) +
                          "; this program knows up to " + std::to_string(newest));
        read(reader, file);
        return file;
    }
    catch (const BadFile& error)
    {
        if (why != nullptr)
            *why = std::string(name) + " " + error.what();
        return std::nullopt;
    }
}

/// CRC-32C (Castagnoli), as iSCSI and ext4 have it. Source: RFC 3720, B.4.
std::uint32_t crc32c(std::string_view bytes)
{
    std::uint32_t sum = ~0U;
    for (const char byte : bytes)
    {
        sum ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82f63b78U : 0);
    }
    return ~sum;
}

/// What ends an outcome: the checksum of all that stands before it.
std::string checksumOf(std::string_view text)
{
    std::array<char, 32> end{};
    std::snprintf(end.data(), end.size(), ",\"crc32c\":\"%08x\"}", crc32c(text));
    return end.data();
}

constexpr std::size_t checksumSize = sizeof(R"(,"crc32c":"00000000"})") - 1;

std::vector<std::string> textsOf(const std::vector<Bind>& binds)
{
    std::vector<std::string> texts;
    for (const Bind& bind : binds)
        texts.push_back(toString(bind));
    return texts;
}

std::vector<Bind> bindsIn(const ObjectReader& reader, const char* name)
{
    std::vector<Bind> binds;
    for (const std::string& text : reader.texts(name))
    {
        const auto bind = bindFrom(text);
        if (!bind)
            throw BadFile("has '" + std::string(name) + "' with what is no path: " + text);
        binds.push_back(*bind);
    }
    return binds;
}

void write(ObjectWriter& json, const SandboxOrder& sandbox)
{
    json.key("sandbox").StartObject();
    json.text("program", sandbox.program);
    json.text("network", toString(sandbox.network));
    json.text("home", sandbox.home);
    json.texts("hidden", sandbox.hidden);
    json.texts("binds", textsOf(sandbox.binds));
    json.texts("shown", textsOf(sandbox.shown));
    json.raw().EndObject();
}

SandboxOrder sandboxFrom(const ObjectReader& reader)
{
    const auto network = networkFrom(reader.text("network"));
    if (!network)
        throw BadFile("has an unknown 'network'");
    return {.program = reader.text("program"),
            .network = *network,
            .home = reader.text("home"),
            .hidden = reader.texts("hidden"),
            .binds = bindsIn(reader, "binds"),
            .shown = bindsIn(reader, "shown")};
}

StageOutput outputFrom(const std::string& text)
{
    const auto output = stageOutputFrom(text);
    if (!output)
        throw BadFile("has an unknown 'output'");
    return *output;
}

void readIdentity(const ObjectReader& reader, Order& order)
{
    order.runId = reader.text("runId");
    order.stageId = reader.text("stageId");
    order.attempt = reader.small("attempt");
    order.cgroup = reader.text("cgroup");
    order.bootId = reader.text("bootId");
}

} // namespace

std::string toJson(const Order& order)
{
    ObjectWriter json;
    json.number("version", order.version);
    json.text("runId", order.runId);
    json.text("stageId", order.stageId);
    json.number("attempt", order.attempt);
    json.text("plugin", order.plugin);
    if (!order.pluginFolder.empty())
        json.text("pluginFolder", order.pluginFolder);
    json.text("pluginSha256", order.pluginSha256);
    if (!order.pluginIdentity.empty())
        json.text("pluginIdentity", order.pluginIdentity);
    json.key("library").Bool(order.library);
    json.texts("argv", order.argv);
    json.key("env").StartObject();
    for (const auto& [name, value] : order.env)
    {
        json.raw().Key(name.c_str());
        ObjectWriter::putText(json.raw(), value);
    }
    json.raw().EndObject();
    json.texts("secrets", order.secrets);
    json.text("cwd", order.cwd);
    json.number("timeoutMs", order.timeoutMs);
    json.number("silenceMs", order.silenceMs);
    json.number("graceMs", order.graceMs);
    json.number("logMaxBytes", order.logMaxBytes);
    json.text("cgroup", order.cgroup);
    json.key("limits").StartObject();
    json.number("memoryBytes", order.limits.memoryBytes);
    json.number("cpuPercent", order.limits.cpuPercent);
    json.number("pids", order.limits.pids);
    json.raw().EndObject();
    if (order.sandbox)
        write(json, *order.sandbox);
    if (order.outside)
        json.key("outside").Bool(true);
    json.text("bootId", order.bootId);
    if (order.bootRecorded)
        json.key("bootRecorded").Bool(true);
    if (order.knowsLeftBehind)
        json.key("knowsLeftBehind").Bool(true);
    if (order.collect)
        write(json, *order.collect);
    json.number("umask", order.umask);
    json.text("output", toString(order.output));
    return json.finish();
}

std::string toJson(const Claim& claim)
{
    ObjectWriter json;
    json.number("version", claim.version);
    json.number("pid", claim.pid);
    json.key("startTime").Uint64(claim.startTime);
    json.text("bootId", claim.bootId);
    json.number("startedAt", claim.startedAt);
    json.key("beganTicks").Uint64(claim.beganTicks);
    return json.finish();
}

std::string toJson(const Outcome& outcome, const Seal& seal)
{
    ObjectWriter json;
    json.number("version", outcome.version);
    json.text("cause", toString(outcome.cause));
    if (outcome.exitCode)
        json.number("exitCode", *outcome.exitCode);
    if (outcome.signal)
        json.number("signal", *outcome.signal);
    json.number("startedAt", outcome.startedAt);
    json.number("endedAt", outcome.endedAt);
    json.number("durationMs", outcome.durationMs);
    json.text("message", outcome.message);
    json.text("containment", outcome.containment);
    json.key("notes").StartArray();
    for (const Cause note : outcome.notes)
        ObjectWriter::putText(json.raw(), toString(note));
    json.raw().EndArray();
    json.number("logBytes", outcome.logBytes);
    json.key("usage").StartObject();
    json.number("cpuMs", outcome.usage.cpuMs);
    json.number("maxRssBytes", outcome.usage.maxRssBytes);
    json.number("readBytes", outcome.usage.readBytes);
    json.number("writeBytes", outcome.usage.writeBytes);
    json.raw().EndObject();
    if (outcome.artifacts)
        write(json, *outcome.artifacts);
    if (outcome.tests)
        write(json, *outcome.tests);
    if (outcome.synced)
        json.key("synced").Bool(true);
    std::string text = json.finish();
    text.pop_back();
    text += seal.member(files::outcome, text);
    return text + checksumOf(text);
}

std::string toJson(const Held& held)
{
    ObjectWriter json;
    json.number("version", held.version);
    json.number("since", held.since);
    if (held.ending)
        json.text("ending", toString(*held.ending));
    return json.finish();
}

std::optional<Order> orderFrom(const std::string& json, std::string* why)
{
    return readFile<Order>(
        json, files::order, why,
        [](const ObjectReader& reader, Order& order)
        {
            readIdentity(reader, order);
            order.plugin = reader.text("plugin");
            if (reader.find("pluginFolder") != nullptr)
                order.pluginFolder = reader.text("pluginFolder");
            order.pluginSha256 = reader.text("pluginSha256");
            if (reader.find("pluginIdentity") != nullptr)
                order.pluginIdentity = reader.text("pluginIdentity");
            order.library = reader.boolean("library");
            order.argv = reader.texts("argv");
            const rapidjson::Value& env = reader.get("env");
            if (!env.IsObject())
                throw BadFile("has 'env' that is no object");
            for (const auto& member : env.GetObject())
                order.env[ObjectReader::asText(member.name, "env")] =
                    ObjectReader::asText(member.value, "env");
            order.secrets = reader.texts("secrets");
            order.cwd = reader.text("cwd");
            order.timeoutMs = reader.number("timeoutMs");
            order.silenceMs = reader.number("silenceMs");
            order.graceMs = reader.number("graceMs");
            order.logMaxBytes = reader.number("logMaxBytes");
            const ObjectReader limits(reader.get("limits"));
            order.limits.memoryBytes = limits.number("memoryBytes");
            order.limits.cpuPercent = limits.number("cpuPercent");
            order.limits.pids = limits.number("pids");
            if (const rapidjson::Value* sandbox = reader.find("sandbox"))
                order.sandbox = sandboxFrom(ObjectReader(*sandbox));
            order.outside = reader.flag("outside");
            order.bootRecorded = reader.flag("bootRecorded");
            order.knowsLeftBehind = reader.flag("knowsLeftBehind");
            if (const rapidjson::Value* collect = reader.find("collect"))
                order.collect = collectOrderFrom(ObjectReader(*collect));
            if (reader.find("umask") != nullptr)
                order.umask = static_cast<unsigned>(reader.natural("umask")) & 0777U;
            if (reader.find("output") != nullptr)
                order.output = outputFrom(reader.text("output"));
        },
        sandboxOrderVersion);
}

std::optional<Order> identityFrom(const std::string& json, std::string* why)
{
    return readFile<Order>(json, files::order, why, readIdentity, anyVersion);
}

std::optional<Claim> claimFrom(const std::string& json, std::string* why)
{
    return readFile<Claim>(
        json, files::lock, why,
        [](const ObjectReader& reader, Claim& claim)
        {
            claim.pid = reader.small("pid");
            claim.startTime = reader.natural("startTime");
            claim.bootId = reader.text("bootId");
            claim.startedAt = reader.number("startedAt");
            if (reader.find("beganTicks") != nullptr)
                claim.beganTicks = reader.natural("beganTicks");
        },
        anyVersion);
}

std::optional<Outcome> outcomeFrom(const std::string& json, std::string* why)
{
    const std::string_view text = json;
    const std::string_view end = text.substr(text.size() - std::min(text.size(), checksumSize));
    const bool checked = end.starts_with(",\"crc32c\":");
    if (checked && end != checksumOf(text.substr(0, text.size() - end.size())))
    {
        if (why != nullptr)
            *why = std::string(files::outcome) + " is damaged: its checksum is wrong";
        return std::nullopt;
    }
    auto found =
        readFile<Outcome>(json, files::outcome, why,
                          [](const ObjectReader& reader, Outcome& outcome)
                          {
                              outcome.cause = reader.cause(reader.text("cause"));
                              outcome.exitCode = reader.optionalSmall("exitCode");
                              outcome.signal = reader.optionalSmall("signal");
                              outcome.startedAt = reader.number("startedAt");
                              outcome.endedAt = reader.number("endedAt");
                              outcome.durationMs = reader.number("durationMs");
                              outcome.message = reader.text("message");
                              outcome.containment = reader.text("containment");
                              for (const std::string& note : reader.texts("notes"))
                                  outcome.notes.push_back(reader.cause(note));
                              outcome.logBytes = reader.number("logBytes");
                              const ObjectReader usage(reader.get("usage"));
                              outcome.usage.cpuMs = usage.optionalNumber("cpuMs");
                              outcome.usage.maxRssBytes = usage.optionalNumber("maxRssBytes");
                              outcome.usage.readBytes = usage.optionalNumber("readBytes");
                              outcome.usage.writeBytes = usage.optionalNumber("writeBytes");
                              if (const rapidjson::Value* kept = reader.find("artifacts"))
                                  outcome.artifacts = keptArtifactsFrom(ObjectReader(*kept));
                              if (const rapidjson::Value* tests = reader.find("tests"))
                                  outcome.tests = reportedTestsFrom(ObjectReader(*tests));
                              outcome.synced = reader.flag("synced");
                          });
    if (found)
        found->checked = checked;
    return found;
}

std::optional<Held> heldFrom(const std::string& json, std::string* why)
{
    return readFile<Held>(
        json, files::held, why,
        [](const ObjectReader& reader, Held& held)
        {
            held.since = reader.number("since");
            if (reader.find("ending") != nullptr)
                held.ending = causeFrom(reader.text("ending")); // a later shim may have others
        },
        anyVersion);
}

} // namespace agent
