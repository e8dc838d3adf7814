#include "agent/store/Database.h"
#include "agent/store/DeployedRuns.h"
#include "agent/store/Query.h"
#include "agent/store/RecordReport.h"
#include "agent/store/RunOutlook.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

namespace agent
{

namespace
{

/// What a statement may read of a table without a search: rows that partial indexes hold, of runs and
/// stages that have not ended or wait for something.
const std::regex scan(
    "SCAN "
    "(runs|stages|history|attempts|idempotency|artifact_sets|taken_sets|kept_workspaces|"
    "outbox|report_numbers|deliveries)\\b"
    "(?! USING (COVERING )?INDEX "
    "(runs_open|runs_waiting|stages_stuck|stages_to_sync|attempts_to_sync|taken_sets_held)\\b)");

/// A list that is sorted is read whole before its first row, whatever its LIMIT; an aggregate too.
const std::regex whole("TEMP B-TREE|COUNT\\(|SUM\\(");

/// Statements that may read many rows, by how they begin, and why.
const std::map<std::string, std::string> allowed{
    {"SELECT s.ended_at - s.started_at FROM (SELECT id, seq FROM runs WHERE service_id = ? ORDER "
     "BY "
     "seq DESC LIMIT 100) r ",
     "sorts the stages of at most 100 runs, which the inner LIMIT holds"},
    {"SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE target = ? LIMIT ?)",
     "counts what waits for a target, 100,000 rows at most, for operators who ask"},
};

/// What SQLite will do for `sql`, a step a line.
std::string planOf(RecordSession& session, const std::string& sql)
{
    Statement plan = session.prepareOnce("EXPLAIN QUERY PLAN " + sql);
    std::string lines;
    while (plan.step())
    {
        for (int column = 0; column < 3; ++column) // id, parent, not used
            plan.integer();
        lines += plan.text() + "\n";
    }
    return lines;
}

bool readsMany(const std::string& sql, const std::string& plan)
{
    return std::regex_search(plan, scan) || std::regex_search(sql + plan, whole);
}

bool isAllowed(const std::string& sql)
{
    return std::ranges::any_of(allowed,
                               [&](const auto& entry) { return sql.starts_with(entry.first); });
}

/// Lines of `text` that match `pattern`.
std::size_t linesLike(const std::string& text, const std::string& pattern)
{
    const std::regex line(pattern);
    return static_cast<std::size_t>(
        std::distance(std::sregex_iterator(text.begin(), text.end(), line), {}));
}

} // namespace

/// No statement of the record takes longer because there are more runs.
class QueryPlanTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(QueryPlanTest);
    CPPUNIT_TEST(testEveryStatementIsServedByAnIndex);
    CPPUNIT_TEST(testEveryAllowanceIsNeeded);
    CPPUNIT_TEST(testSeesAStatementThatReadsMany);
    CPPUNIT_TEST(testNoStatementIsLeftOut);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEveryStatementIsServedByAnIndex()
    {
        for (const Query* query : ofTheRecord())
        {
            const auto plan = planOf(_database.writer(), query->sql());
            CPPUNIT_ASSERT_MESSAGE(query->sql() + "\n" + plan,
                                   isAllowed(query->sql()) || !readsMany(query->sql(), plan));
        }
    }

    void testEveryAllowanceIsNeeded()
    {
        for (const auto& entry : allowed)
        {
            const auto needsIt = [&](const Query* query)
            {
                return query->sql().starts_with(entry.first) &&
                       readsMany(query->sql(), planOf(_database.writer(), query->sql()));
            };
            CPPUNIT_ASSERT_MESSAGE(entry.first, std::ranges::any_of(ofTheRecord(), needsIt));
        }
    }

    void testSeesAStatementThatReadsMany()
    {
        for (const char* sql :
             {"SELECT id FROM runs WHERE committer = ?", "DELETE FROM stages WHERE name = ?",
              "SELECT * FROM history WHERE actor = ?", "SELECT id FROM runs ORDER BY seq",
              "SELECT COUNT(*) FROM stages WHERE run_id = ?",
              "SELECT id FROM runs WHERE status = ? ORDER BY version LIMIT 1",
              "SELECT runs.id FROM runs JOIN stages ON stages.run_id = runs.id"})
            CPPUNIT_ASSERT_MESSAGE(sql, readsMany(sql, planOf(_database.writer(), sql)));
    }

    /// Only a Query can be prepared and kept, and at namespace scope it is registered before main(). What
    /// is left are texts for one use: none of them names a table of ours.
    void testNoStatementIsLeftOut()
    {
        // Bring the statements of the last files into this program.
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             reportOn(_files.path() / "record.db", RecordDepth::Whole).damage);
        CPPUNIT_ASSERT(!RunOutlook(_database.writer()).failedStage("none"));
        CPPUNIT_ASSERT(!DeployedRuns(_database.writer()).last("none", 1, "none"));
        std::size_t declared = 0;
        const std::filesystem::path folder(STAGE_AGENT_SOURCE_DIR "/agent/store");
        for (const auto& entry : std::filesystem::directory_iterator(folder))
        {
            if (entry.path().extension() != ".cpp")
                continue;
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string text{std::istreambuf_iterator<char>(in), {}};
            const std::string name = entry.path().filename().string();
            declared += linesLike(text, "\nconst Query \\w+\\{");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                name + " declares a Query elsewhere than at namespace scope", std::size_t(0),
                linesLike(text, "\n[ \t]+(static |const |inline )*Query \\w+ *[{(=]"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                name + " runs a statement that is no Query", std::size_t(0),
                linesLike(text, "(prepareOnce\\(|execute\\(|<<)\\s*R?\"(sql)?\\(?\\s*"
                                "[^\"]*\\b(runs|stages|history|attempts|idempotency|services|"
                                "outbox|deliveries)\\b"));
        }
        CPPUNIT_ASSERT_EQUAL(declared, ofTheRecord().size());
    }

private:
    /// Without those that other tests declare.
    static std::vector<const Query*> ofTheRecord()
    {
        std::vector<const Query*> queries;
        for (const Query* query : Query::all())
            if (query->sql().find("/* test */") == std::string::npos)
                queries.push_back(query);
        CPPUNIT_ASSERT(queries.size() > 20);
        return queries;
    }

    FilesFolder _files;
    Database _database{_files.path() / "record.db"};
};

CPPUNIT_TEST_SUITE_REGISTRATION(QueryPlanTest);

} // namespace agent
