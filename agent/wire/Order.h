#pragma once

#include "agent/model/Isolation.h"
#include "agent/model/PipelineSpec.h"
#include "agent/model/Stage.h"
#include "agent/wire/Collected.h"
#include "agent/wire/Seal.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The files of an attempt's folder that daemon and shim share. A daemon that was upgraded, or taken back,
// meets shims of another version. So each file carries `version`, unknown keys are ignored, and
//  - a key that comes later is optional to those who read it;
//  - `version` rises only where an old reader would understand something wrong: it refuses then;
//  - a shim answers in the version that it was asked in;
//  - what finds a stage and ends it never changes: the claim, the order's ids, bootId and cgroup, the
//    lock, and TERM to the shim. So any version can adopt and stop a stage of any other.
namespace agent
{

/// The version of order.json, shim.lock and outcome.json that this build writes.
constexpr int wireVersion = 1;

/// Of an order with a sandbox: a shim that knew of none would execute the stage without.
constexpr int sandboxOrderVersion = 2;

/// What the stage sees of the host: docs/isolation.md. The paths are absolute.
struct SandboxOrder
{
    std::string program; ///< bubblewrap's
    Network network = Network::Host;
    std::string home; ///< the run's own; made where it is not there
    std::vector<std::string>
        hidden; ///< files and folders of the agent; those that are not there are no error
    std::vector<Bind> binds; ///< of the service; what is hidden stays so
    std::vector<Bind> shown; ///< of the agent, also below what is hidden
};

/// The umask of commands whose order names none, as of version 0.1.0.
constexpr unsigned defaultUmask = 022;

/// `order.json`: what the shim is to do. Written by the engine before the launch.
struct Order
{
    int version = wireVersion;
    std::string runId;
    std::string stageId;
    int attempt = 1;
    std::string plugin;
    std::string pluginFolder;      ///< holds the plugin's files; empty: by a daemon that told none
    std::string pluginSha256;      ///< digestOfFolder() when the agent loaded it
    std::string pluginIdentity;    ///< identityOfFolder() then; empty: the digest alone can tell
    bool library = false;          ///< argv runs stage-plugin-host: its crash is PLUGIN_ERROR
    std::vector<std::string> argv; ///< argv[0] without a slash is looked up in env's PATH
    std::map<std::string, std::string> env; ///< all of it, but for the secrets
    std::vector<std::string> secrets;       ///< names only; the values come through the memfd
    std::vector<std::string>
        masks; ///< names of what the log shows masked besides. In memory only, never in order.json
    std::string cwd;
    std::int64_t timeoutMs = 0; ///< 0: none
    std::int64_t silenceMs = 0; ///< 0: none
    std::int64_t graceMs = 0;   ///< between TERM and KILL
    std::int64_t logMaxBytes = 0;
    std::string cgroup; ///< the stage's own cgroup v2 folder, made by the daemon; empty: none
    Limits limits;
    std::optional<SandboxOrder> sandbox; ///< none: as any process of the agent's user

    /// argv, a program of the agent's own, is executed outside of the sandbox, and is told what makes it: it fetches, and
    /// executes in there what touches the workspace.
    bool outside = false;
    std::string bootId; ///< of the launch

    /// The attempt's row in the record names the boot, so the shim syncs nothing: see docs/durability.md.
    bool bootRecorded = false;

    /// The daemon knows the note LEFT_BEHIND: one before would refuse the outcome.
    bool knowsLeftBehind = false;

    std::optional<CollectOrder> collect; ///< none: nothing of the stage is kept

    /// Proves the attempt's files. In memory only, never in order.json.
    Seal seal;

    unsigned umask = defaultUmask; ///< of the command

    /// One that says nothing is of a daemon before there was a choice.
    StageOutput output = StageOutput::Separate;
};

/// `shim.lock`: the shim's claim, written before it executes anything. Held by flock while it lives.
/// The same in every version.
struct Claim
{
    int version = wireVersion;
    int pid = 0;
    std::uint64_t startTime = 0; ///< clock ticks since boot, field 22 of /proc/PID/stat
    std::string bootId;
    TimeMs startedAt = 0;
    std::uint64_t beganTicks =
        0; ///< startedAt in clock ticks since boot; 0: not told, as by version 0.1.0

    /// When the attempt began, in clock ticks since boot: a shim that waited for it was started before.
    [[nodiscard]] std::uint64_t began() const { return std::max(beganTicks, startTime); }
};

/// `outcome.json`: how the attempt ended. Its presence means that it did where the attempt's seal proves it (wire/Seal.h), unless
/// the power was cut since: then only one with a checksum, which its last member holds, is known to be whole.
struct Outcome
{
    int version = wireVersion;
    Cause cause = Cause::Exit;
    std::optional<int> exitCode;
    std::optional<int> signal;
    TimeMs startedAt = 0;
    TimeMs endedAt = 0;          ///< startedAt + durationMs
    std::int64_t durationMs = 0; ///< on the monotonic clock
    std::string message;
    std::string containment; ///< "cgroup" or "subreaper"
    std::vector<Cause> notes;
    std::int64_t logBytes = 0;
    Usage usage;
    std::optional<KeptArtifacts> artifacts; ///< none: nothing was to be kept, or it could not be
    std::optional<ReportedTests> tests;
    bool synced = false;  ///< the shim has synced log and workspace itself
    bool checked = false; ///< it was read with its checksum, which was right

    [[nodiscard]] bool succeeded() const { return cause == Cause::Exit && exitCode == 0; }
};

/// `held.json`: the attempt is at its end and can't end, as every process that is left of it is in the
/// kernel's D state long after KILL. Written once, by a shim that knows of it, and never removed: true until
/// there is an outcome. To be believed only as far as /proc shows the same: the stage could write it too.
struct Held
{
    int version = wireVersion;
    TimeMs since = 0;
    std::optional<Cause> ending; ///< why the shim ends the stage; none: its command ended by itself
};

std::string toJson(const Order& order);
std::string toJson(const Claim& claim);
std::string toJson(const Outcome& outcome, const Seal& seal = {});
std::string toJson(const Held& held);

/// Errors: nothing when the text is no such file: malformed, a key missing or of the wrong type, or a
/// newer version than this build knows (then `why`, where given, says so); an outcome also when its checksum,
/// if it has one, is wrong. A claim and what is held may be
/// of any version.
std::optional<Order> orderFrom(const std::string& json, std::string* why = nullptr);
std::optional<Claim> claimFrom(const std::string& json, std::string* why = nullptr);
std::optional<Outcome> outcomeFrom(const std::string& json, std::string* why = nullptr);
std::optional<Held> heldFrom(const std::string& json, std::string* why = nullptr);

/// What holds for an order of any version: version, runId, stageId, attempt, cgroup, bootId.
std::optional<Order> identityFrom(const std::string& json, std::string* why = nullptr);

/// One record of `log.idx`, 32 bytes, little endian: the chunk at `offset` of `log`.
struct LogIndexRecord
{
    std::uint64_t offset = 0;
    std::uint64_t line = 0;  ///< number of line ends before the chunk
    std::int64_t timeUs = 0; ///< wall clock, µs since 1970
    std::uint8_t stream = 1; ///< 1 stdout, 2 stderr, 3 the shim's own words
    std::uint8_t reserved[3] = {};
    std::uint32_t bytes = 0; ///< size of the chunk; 0: not told, as by version 0.1.0
};
static_assert(sizeof(LogIndexRecord) == 32);

/// Names of an attempt's files.
namespace files
{
constexpr const char* order = "order.json";
constexpr const char* lock = "shim.lock";
constexpr const char* log = "log";
constexpr const char* logIndex = "log.idx";
constexpr const char* outcome = "outcome.json";
constexpr const char* held = "held.json"; ///< optional: of no attempt that ended as it should
constexpr const char* outputs = "outputs.json";
constexpr const char* mask = "mask"; ///< further secrets of the stage, only while it runs
} // namespace files

} // namespace agent
