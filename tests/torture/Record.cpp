#include "tests/torture/Record.h"

#include <cppunit/TestAssert.h>

#include <sqlite3.h>

#include <cstdlib>

namespace agent::test
{

namespace
{

std::int64_t number(const std::string& text, std::int64_t none)
{
    return text.empty() ? none : std::atoll(text.c_str());
}

} // namespace

Record::Record(const std::filesystem::path& state, const std::filesystem::path& copyTo)
    : _copy(copyTo)
{
    for (const char* part : {"", "-wal"})
    {
        const auto from = state.string() + "/record.db" + part;
        std::filesystem::remove(_copy.string() + part);
        if (std::filesystem::exists(from))
            std::filesystem::copy_file(from, _copy.string() + part);
    }
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, ::sqlite3_open(_copy.c_str(), &_handle));
}

Record::~Record()
{
    ::sqlite3_close(_handle);
    for (const char* part : {"", "-wal", "-shm"})
    {
        std::error_code ignored;
        std::filesystem::remove(_copy.string() + part, ignored);
    }
}

void Record::assertWhole() const
{
    const auto found = rows("SELECT * FROM pragma_integrity_check WHERE ?1 = ''", "");
    CPPUNIT_ASSERT_EQUAL(std::size_t(1), found.size());
    CPPUNIT_ASSERT_EQUAL(std::string("ok"), found[0][0]);
}

std::vector<Record::Row> Record::rows(const std::string& sql, const std::string& value) const
{
    sqlite3_stmt* statement = nullptr;
    CPPUNIT_ASSERT_EQUAL_MESSAGE(
        ::sqlite3_errmsg(_handle), SQLITE_OK,
        ::sqlite3_prepare_v2(_handle, sql.c_str(), -1, &statement, nullptr));
    ::sqlite3_bind_text(statement, 1, value.c_str(), -1, SQLITE_STATIC);
    std::vector<Row> found;
    int code = 0;
    while ((code = ::sqlite3_step(statement)) == SQLITE_ROW)
    {
        Row& row = found.emplace_back();
        for (int i = 0; i < ::sqlite3_column_count(statement); ++i)
        {
            const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(statement, i));
            row.emplace_back(text ? text : "");
        }
    }
    ::sqlite3_finalize(statement);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(::sqlite3_errmsg(_handle), SQLITE_DONE, code);
    return found;
}

std::optional<RunRow> Record::run(const std::string& id) const
{
    const auto found = rows("SELECT status, started_at, ended_at FROM runs WHERE id = ?1", id);
    if (found.empty())
        return std::nullopt;
    return RunRow{.status = found[0][0],
                  .startedAt = number(found[0][1], 0),
                  .endedAt = number(found[0][2], 0)};
}

std::vector<StageRow> Record::stages(const std::string& runId) const
{
    std::vector<StageRow> stages;
    for (const auto& row :
         rows("SELECT id, type, status, cause, ordinal, attempt, exit_code, signal, "
              "started_at, ended_at, artifact_files, artifact_manifest FROM stages WHERE run_id = "
              "?1 ORDER BY ordinal",
              runId))
        stages.push_back({.id = row[0],
                          .type = row[1],
                          .status = row[2],
                          .cause = row[3],
                          .ordinal = std::atoi(row[4].c_str()),
                          .attempt = std::atoi(row[5].c_str()),
                          .exitCode = static_cast<int>(number(row[6], -1)),
                          .signal = static_cast<int>(number(row[7], -1)),
                          .startedAt = number(row[8], 0),
                          .endedAt = number(row[9], 0),
                          .artifactFiles = number(row[10], -1),
                          .artifactManifest = row[11]});
    return stages;
}

std::set<std::string> Record::artifactSets() const
{
    std::set<std::string> sets;
    for (const auto& row :
         rows("SELECT run_id, stage_id, attempt FROM artifact_sets WHERE ?1 = ''", ""))
        sets.insert(row[0] + "/" + row[1] + "." + row[2]);
    return sets;
}

std::set<std::string> Record::keptWorkspaces() const
{
    std::set<std::string> paths;
    for (const auto& row : rows("SELECT path FROM kept_workspaces WHERE last = 1 AND ?1 = ''", ""))
        paths.insert(row[0]);
    return paths;
}

std::vector<std::string> Record::steps(const std::string& stageId) const
{
    std::vector<std::string> steps;
    for (const auto& row :
         rows("SELECT from_status, to_status FROM history WHERE stage_id = ?1 ORDER BY seq",
              stageId))
        steps.push_back(row[0] + ">" + row[1]);
    return steps;
}

} // namespace agent::test
