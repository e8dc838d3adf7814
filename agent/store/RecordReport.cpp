#include "agent/store/RecordReport.h"

#include "agent/store/Database.h"
#include "agent/store/RecordCheck.h"
#include "agent/store/Schema.h"

#include <Poco/Data/DataException.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/Session.h>

namespace agent
{

namespace
{

using Mode = RecordSession::Mode;

const Query newestEnd{"SELECT MAX(ended_at) FROM runs WHERE ended_at IS NOT NULL"};

void look(const std::filesystem::path& record, RecordDepth depth, Mode mode, RecordReport& report)
{
    RecordSession session(record, mode);
    checkFirstPages(session);
    if (depth == RecordDepth::Whole)
    {
        Statement check = session.prepareOnce("PRAGMA quick_check(1)");
        const std::string found = check.step() ? check.text() : "no answer";
        if (found != "ok")
        {
            report.damage = found;
            return;
        }
    }
    Statement version = session.prepareOnce("PRAGMA user_version");
    report.schema = version.step() ? static_cast<int>(version.integer()) : 0;
    if (report.schema < 1 || report.schema > report.newestSchema)
        return;
    Statement& last = session.prepare(newestEnd);
    if (last.step())
        report.lastEnd = last.maybeInteger();
}

} // namespace

RecordReport reportOn(const std::filesystem::path& record, RecordDepth depth)
{
    RecordReport report{.newestSchema = static_cast<int>(schemaSteps.size())};
    const auto with = [&](const char* ending)
    { return std::filesystem::path(record.string() + ending); };
    std::error_code ignored;
    const bool log = std::filesystem::exists(with("-wal"), ignored);
    if (log && !std::filesystem::exists(with("-shm"), ignored))
    {
        report.unknown = "its write-ahead log has no index";
        return report;
    }
    Poco::Data::SQLite::Connector::registerConnector();
    try
    {
        look(record, depth, log ? Mode::Beside : Mode::Settled, report);
    }
    catch (const Poco::Data::SQLite::CorruptImageException& error)
    {
        report.damage = error.displayText();
    }
    catch (const Poco::Exception& error)
    {
        report.unknown = error.displayText();
    }
    return report;
}

} // namespace agent
