#pragma once

#include "agent/model/Stage.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace agent
{

/// What a value may be, as PipelineSchema writes it for editors.
enum class Shape
{
    Text,         ///< any scalar
    StageName,    ///< one line
    Plugin,       ///< a word
    Type,         ///< of a stage
    Duration,     ///< 0 too
    Span,         ///< a duration longer than 0
    Bytes,        ///< at least 1
    Cpu,          ///< cores, or percent of one
    Count,        ///< a whole number of at least 1
    Attempts,     ///< a whole number up to bounds of retry
    Boolean,      ///< true or false
    Output,       ///< merged or separate
    Approval,     ///< `required`, or a map of approvalKeys
    When,         ///< a map of whenKeys, of which there is one
    Names,        ///< patterns of branches, or who approves: at least one
    Triggers,     ///< at least one
    RunsAfter,    ///< success, failure or always
    RetryOn,      ///< exit codes and causes
    Patterns,     ///< of files
    FilePatterns, ///< the same, at least one
    Artifacts,    ///< Patterns, or a map of artifactKeys
    Reports,      ///< a map of reportKeys
    Name,         ///< of artifacts: a word without a slash
    SecretNames,  ///< of files in secrets.dir
    CacheKey,     ///< with placeholders
    CacheKeys,    ///< a list of those
    CachePaths,   ///< of workspace and HOME
    Caches,       ///< a list of maps of cacheKeys
    Needs,        ///< a list of maps of needKeys
    Service,      ///< the name of one
    Branch,       ///< the name of one
    Folder,       ///< of the workspace
    Environment,  ///< names with texts
    Settings,     ///< of a plugin
    Retry,        ///< a map of retryKeys
    Limits,       ///< a map of limitKeys
    Stages        ///< a list of maps of stageKeys
};

/// A key that the reader knows.
struct PipelineKey
{
    std::string_view name;
    Shape shape;
    std::string_view says; ///< for people, in editors
    bool required = false;
};

using PipelineKeys = std::vector<PipelineKey>;

// The keys of each map, as the reader knows them and the schema tells them.
extern const PipelineKeys fileKeys; ///< of a pipeline file in a repository
extern const PipelineKeys stageKeys;
extern const PipelineKeys retryKeys;
extern const PipelineKeys limitKeys;
extern const PipelineKeys whenKeys;
extern const PipelineKeys approvalKeys;
extern const PipelineKeys cacheKeys;
extern const PipelineKeys needKeys;
extern const PipelineKeys artifactKeys;
extern const PipelineKeys reportKeys;

inline const std::vector<std::string_view> triggerTypeNames{"MAIN", "PR_OPEN", "PR_SYNC", "MANUAL"};
inline const std::vector<std::string_view> runsAfterNames{"success", "failure", "always"};

/// Of a service, and of an inline pipeline.
extern const std::vector<std::string_view> serviceKeys;

/// Returns their names.
std::vector<std::string_view> namesOf(const PipelineKeys& keys);

/// What the numbers and texts of a pipeline may be at most.
namespace pipelineBounds
{
inline constexpr std::size_t stages = 100;
inline constexpr std::size_t stageName = 128;    ///< bytes
inline constexpr std::size_t pattern = 256;      ///< bytes, of a name too
inline constexpr std::size_t filePatterns = 100; ///< of a stage's artifacts, or its reports
inline constexpr std::size_t filePattern = 1024; ///< bytes
inline constexpr std::int64_t attempts = 10;
inline constexpr std::int64_t exitCode = 255;
inline constexpr std::int64_t cpuPercent = 102'400; ///< 1024 cores: more is a slip of the pen
inline constexpr std::size_t file = 131'072;        ///< bytes of a pipeline file
inline constexpr std::int64_t fileGraceMs =
    60'000; ///< of a stage there: nobody else waits longer for a slot
} // namespace pipelineBounds

/// Causes that `retry` may name. Decisions of an operator and externally reported ends are never retried.
inline constexpr std::array<Cause, 13> retryableCauses{
    Cause::Exit,       Cause::Signal,    Cause::Timeout,   Cause::Silent,        Cause::Oom,
    Cause::DiskFull,   Cause::Artifacts, Cause::Needs,     Cause::PluginMissing, Cause::PluginError,
    Cause::SpawnError, Cause::ShimLost,  Cause::HostReboot};

} // namespace agent
