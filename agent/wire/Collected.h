#pragma once

#include "agent/model/PipelineSpec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

class ObjectReader;
class ObjectWriter;

// What shim and collector tell each other about the files of a stage: docs/artifacts.md.

/// A part of the order: which files of the workspace the collector is to take, when the stage's processes are gone.
struct CollectOrder
{
    std::string program;            ///< stage-collector
    std::string store;              ///< `<state>/artifacts`
    std::string name;               ///< of the artifacts
    std::vector<std::string> paths; ///< patterns; empty: no artifacts
    std::vector<std::string> junit; ///< patterns of reports; empty: none
    RunsAfter when = RunsAfter::Success;
    bool required = false;
    std::int64_t maxBytes = 0; ///< 0: no limit
    std::int64_t maxFiles = 0; ///< 0: no limit
    std::int64_t timeoutMs = 0;
};

/// What of an attempt was kept.
struct KeptArtifacts
{
    std::int64_t files = 0;
    std::int64_t bytes = 0;
    std::string manifest; ///< SHA-256 of artifacts.jsonl; empty where there are no files
};

/// What the attempt's reports say in sum.
struct ReportedTests
{
    std::int64_t total = 0;
    std::int64_t failed = 0;
    std::int64_t skipped = 0;
};

/// The collector's answer.
struct Collected
{
    std::optional<KeptArtifacts> artifacts; ///< none: they were not asked for, or could not be kept
    std::optional<ReportedTests> tests;     ///< none: there are no reports
    std::string problem; ///< what is missing or was left out, for people; empty: nothing
};

/// The names of the files that the collector writes into the attempt's folder.
namespace files
{
constexpr const char* manifest = "artifacts.jsonl";
constexpr const char* tests = "tests.json";
} // namespace files

std::string toJson(const Collected& collected);

/// Errors: nothing when the text is none.
std::optional<Collected> collectedFrom(const std::string& json);

// As parts of other files. The readers' errors: BadFile.
void write(ObjectWriter& json, const CollectOrder& collect);
CollectOrder collectOrderFrom(const ObjectReader& reader);
void write(ObjectWriter& json, const KeptArtifacts& artifacts);
KeptArtifacts keptArtifactsFrom(const ObjectReader& reader);
void write(ObjectWriter& json, const ReportedTests& tests);
ReportedTests reportedTestsFrom(const ObjectReader& reader);

} // namespace agent
