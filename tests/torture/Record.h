#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

struct sqlite3;

namespace agent::test
{

struct RunRow
{
    std::string status;
    std::int64_t startedAt = 0; ///< 0: none; so are the others
    std::int64_t endedAt = 0;
};

struct StageRow
{
    std::string id;
    std::string type;
    std::string status;
    std::string cause;
    int ordinal = 0;
    int attempt = 0;
    int exitCode = -1; ///< -1: none
    int signal = -1;   ///< -1: none
    std::int64_t startedAt = 0;
    std::int64_t endedAt = 0;
    std::int64_t artifactFiles = -1; ///< -1: none
    std::string artifactManifest;    ///< its SHA-256
};

/// The record of a daemon that has ended, read without any of its code, from a copy: looking at it must
/// not change it.
class Record
{
public:
    Record(const std::filesystem::path& state, const std::filesystem::path& copyTo);
    ~Record();
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;

    /// Errors: fails the test when SQLite finds it damaged.
    void assertWhole() const;

    [[nodiscard]] std::optional<RunRow> run(const std::string& id) const;
    [[nodiscard]] std::vector<StageRow> stages(const std::string& runId) const;

    /// The sets of artifacts that are kept, as their folders are called: RUN/STAGE.ATTEMPT.
    [[nodiscard]] std::set<std::string> artifactSets() const;

    /// The kept workspaces that a run on record had last, relative to the folder of all.
    [[nodiscard]] std::set<std::string> keptWorkspaces() const;

    /// Each step of a stage as "FROM>TO", in order.
    [[nodiscard]] std::vector<std::string> steps(const std::string& stageId) const;

private:
    using Row = std::vector<std::string>;
    [[nodiscard]] std::vector<Row> rows(const std::string& sql, const std::string& value) const;

    std::filesystem::path _copy;
    sqlite3* _handle = nullptr;
};

} // namespace agent::test
