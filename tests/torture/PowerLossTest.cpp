// Power cuts, as docs/durability.md has them: every process dies at once, and of what was not synced each file may be
// whole, cut, zeros or gone. What is committed stays (SQLite syncs it), and so does what the record calls synced.
#include "tests/support/Daemon.h"
#include "tests/torture/Rounds.h"
#include "tests/torture/Survivors.h"

#include <cppunit/extensions/HelperMacros.h>

#include <sqlite3.h>

#include <fstream>
#include <set>
#include <sstream>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::endLiving;
using agent::test::living;
using agent::test::Rounds;
using agent::test::waitFor;

namespace
{

namespace fs = std::filesystem;

struct Row
{
    std::string id, run, type, status, cause;
    int ordinal = 0;
    int attempt = 0;
    int synced = -1; ///< -1: none
};

/// All stages, as the record has them.
std::vector<Row> rowsOf(const fs::path& state)
{
    sqlite3* record = nullptr;
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, ::sqlite3_open((state / "record.db").c_str(), &record));
    sqlite3_stmt* query = nullptr;
    CPPUNIT_ASSERT_EQUAL(
        SQLITE_OK,
        ::sqlite3_prepare_v2(record,
                             "SELECT id, run_id, type, status, ifnull(cause, ''), ordinal, "
                             "attempt, ifnull(synced, -1) FROM stages",
                             -1, &query, nullptr));
    std::vector<Row> rows;
    const auto text = [&](int column)
    { return std::string(reinterpret_cast<const char*>(::sqlite3_column_text(query, column))); };
    while (::sqlite3_step(query) == SQLITE_ROW)
        rows.push_back({.id = text(0),
                        .run = text(1),
                        .type = text(2),
                        .status = text(3),
                        .cause = text(4),
                        .ordinal = ::sqlite3_column_int(query, 5),
                        .attempt = ::sqlite3_column_int(query, 6),
                        .synced = ::sqlite3_column_int(query, 7)});
    ::sqlite3_finalize(query);
    ::sqlite3_close(record);
    return rows;
}

} // namespace

class PowerLossTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PowerLossTest);
    CPPUNIT_TEST(testNoCutMakesAStageRunTwiceOrOnLostFiles);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNoCutMakesAStageRunTwiceOrOnLostFiles()
    {
        _daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        _daemon.set("executor.slots", "3");
        boot();
        Rounds rounds(3);
        rounds.play(
            [&]
            {
                std::vector<std::string> runs;
                for (int i = rounds.pick(1, 3); i > 0; --i)
                    runs.push_back(_daemon.submit(stages(rounds)));
                rounds.pause(2500);
                cut(rounds);
                boot();
                for (const auto& run : runs)
                    waitFor("the end of " + run, [&] { return ended(run); });
                for (const auto& run : runs)
                    retryByHand(run);
                for (const auto& run : runs)
                    waitFor("the end of " + run, [&] { return ended(run); });
                _daemon.kill();
                for (const auto& run : runs)
                    verify(run);
                _daemon.start();
            });
    }

private:
    [[nodiscard]] fs::path deeds(const std::string& run) const
    {
        return _daemon.folder() / ("deeds-" + run);
    }

    /// Each looks whether the files of those before it are whole, writes its own, and says so outside.
    [[nodiscard]] std::string stages(Rounds& rounds) const
    {
        const std::string file = _daemon.folder().string() + "/deeds-$RUN_ID";
        std::string all;
        const int count = rounds.pick(1, 4);
        for (int i = 0; i < count; ++i)
        {
            const std::string n = std::to_string(i);
            std::string command = "echo b " + n + " $STAGE_ATTEMPT >> " + file + "; ";
            for (int before = 0; before < i; ++before)
                command += "grep -qx whole w" + std::to_string(before) + " || echo X " + n +
                           " >> " + file + "; ";
            command += "echo whole > w" + n + "; ";
            if (rounds.chance(60))
                command += "sleep 0." + std::to_string(rounds.pick(1, 6)) + "; ";
            command += "echo printed; echo e " + n + " $STAGE_ATTEMPT >> " + file;
            all += std::string(all.empty() ? "" : ",") +
                   R"({"type":"OTHER","plugin":"shell","with":{"command":")" + command + R"("})" +
                   (rounds.chance(40) ? R"(,"retry":{"attempts":2,"on_loss":true})" : "") + "}";
        }
        return "[" + all + "]";
    }

    /// The host's next boot.
    void boot()
    {
        const fs::path id = _daemon.folder() / "boot_id";
        std::ofstream(id) << "boot-" << ++_boots << "\n";
        _daemon.setEnvironment("STAGE_AGENT_BOOT_ID_FILE", id.string());
        _daemon.start();
    }

    void cut(Rounds& rounds)
    {
        _daemon.kill();
        waitFor("the death of all",
                [&]
                {
                    endLiving({_daemon.state().string()});
                    return living({_daemon.state().string()}).empty();
                });
        for (const auto& row : rowsOf(_daemon.state()))
        {
            if (row.synced != 0 || row.attempt == 0)
                continue;
            const fs::path run = _daemon.state() / "runs" / row.run.substr(0, 2) / row.run;
            const fs::path attempt =
                run / (std::to_string(row.ordinal) + "-" + row.type) / std::to_string(row.attempt);
            for (const char* name : {"order.json", "shim.lock", "outcome.json", "log", "log.idx"})
                damage(rounds, attempt / name);
            damage(rounds, run / "workspace" / ("w" + std::to_string(row.ordinal)));
        }
    }

    static void damage(Rounds& rounds, const fs::path& file)
    {
        if (!fs::is_regular_file(file))
            return;
        const auto size = fs::file_size(file);
        switch (rounds.pick(0, 4))
        {
        case 0:
            fs::remove(file);
            break;
        case 1: // its size was written, its bytes were not
            fs::resize_file(file, 0);
            fs::resize_file(file, size);
            break;
        case 2:
            fs::resize_file(file,
                            static_cast<std::uintmax_t>(rounds.pick(0, static_cast<int>(size))));
            break;
        default:
            break;
        }
    }

    [[nodiscard]] bool ended(const std::string& run) const
    {
        const auto status = _daemon.statusOf(run);
        return status == "SUCCESS" || status == "FAILURE";
    }

    void retryByHand(const std::string& run) const
    {
        for (const auto& id : _daemon.stagesOf(run))
            if (_daemon.detail(id, "status") == "FAILURE")
            {
                const auto answer = _daemon.patch("/api/stages/" + id, R"({"status":"IDLE"})");
                CPPUNIT_ASSERT_MESSAGE(
                    answer.body, answer.status == 200 ||
                                     (answer.status == 409 &&
                                      answer.body.find("workspace_unsynced") != std::string::npos));
                return;
            }
    }

    void verify(const std::string& run) const
    {
        const std::string told = contentOf(deeds(run));
        std::set<std::string> seen;
        std::istringstream lines(told);
        for (std::string line; std::getline(lines, line);)
        {
            CPPUNIT_ASSERT_MESSAGE("ran on a workspace that lost files:\n" + told, line[0] != 'X');
            CPPUNIT_ASSERT_MESSAGE("executed twice: " + line + "\n" + told,
                                   seen.insert(line).second);
        }
        for (const auto& row : rowsOf(_daemon.state()))
        {
            if (row.run != run)
                continue;
            const std::string end =
                "e " + std::to_string(row.ordinal) + " " + std::to_string(row.attempt);
            const std::string where = row.status + " " + row.cause + ", " + end + "\n" + told;
            if (row.status == "SUCCESS")
                CPPUNIT_ASSERT_MESSAGE("a false end: " + where, seen.contains(end));
            else if (row.status == "FAILURE")
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("HOST_REBOOT"), row.cause);
        }
    }

    Daemon _daemon;
    int _boots = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PowerLossTest);
