#include "agent/store/RecordCheck.h"

#include "agent/model/Id.h"
#include "agent/store/Database.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Exception.h>

#include <chrono>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace agent
{

namespace
{

constexpr std::int64_t hourMs = 3'600'000;
constexpr std::int64_t weekMs = 7 * 24 * hourMs;
constexpr std::uintmax_t logMayGrow = std::uintmax_t{64} << 20;

/// How often a check that is under way looks at the write-ahead log, and repeats an interrupt: one that
/// comes between two statements has no effect.
constexpr std::chrono::milliseconds lookEvery{500};
constexpr std::chrono::milliseconds interruptEvery{10};

/// Of the calling thread only, on Linux. It is no error where it is not allowed.
void lowerPriority()
{
    constexpr int ofProcess = 1;          // IOPRIO_WHO_PROCESS
    constexpr int lowest = (2 << 13) | 7; // best effort, last: idle could hold the log for ever
    ::syscall(SYS_ioprio_set, ofProcess, 0, lowest);
    ::setpriority(PRIO_PROCESS, 0, 10);
}

std::string quoted(const std::string& name)
{
    std::string text = "\"";
    for (const char c : name)
        text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + "\"";
}

std::vector<std::string> tablesOf(RecordSession& session)
{
    Statement query = session.prepareOnce("SELECT name FROM sqlite_schema WHERE type = 'table'");
    std::vector<std::string> names;
    while (query.step())
        names.push_back(query.text());
    return names;
}

} // namespace

void checkFirstPages(RecordSession& session)
{
    for (const auto& table : tablesOf(session))
        session.prepareOnce("SELECT * FROM " + quoted(table) + " LIMIT 1").step();
}

RecordCheck::RecordCheck(std::filesystem::path record, bool owed, Log log)
    : _record(std::move(record)),
      _stamp(_record.parent_path() / "record.checked"),
      _log(std::move(log))
{
    std::error_code ignored;
    if (owed) // also when this daemon ends before the check has
        std::filesystem::remove(_stamp, ignored);
    _result.wholeAt = checkedAt();
}

void RecordCheck::start()
{
    _thread = std::thread([this] { work(); });
}

void RecordCheck::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
    }
    _cut = true;
    _wake.notify_all();
    if (_thread.joinable())
        _thread.join();
}

RecordCheck::Result RecordCheck::result() const
{
    const std::lock_guard lock(_mutex);
    return _result;
}

std::int64_t RecordCheck::delay(std::optional<TimeMs> checked, TimeMs now)
{
    if (!checked || *checked > now || now - *checked >= weekMs)
        return 0;
    return weekMs - (now - *checked);
}

void RecordCheck::work()
{
    lowerPriority();
    for (auto wait = delay(checkedAt(), nowMs()); waitFor(wait);)
    {
        End end = End::Cut;
        try
        {
            end = check();
        }
        catch (const Poco::Exception& error)
        {
            _log("the record can't be checked: " + error.displayText());
        }
        catch (const std::exception& error)
        {
            _log(std::string("the record can't be checked: ") + error.what());
        }
        wait = end == End::Cut ? hourMs : weekMs;
    }
}

RecordCheck::End RecordCheck::check()
{
    RecordSession session(_record, RecordSession::Mode::ReadOnly);
    const auto logBefore = logSize();
    std::unique_lock lock(_mutex);
    _read = false;
    _cut = _stopping;
    End end = End::Cut;
    std::string damage;
    std::exception_ptr error;
    std::thread reader(
        [&]
        {
            lowerPriority();
            try
            {
                end = read(session, damage);
            }
            catch (...)
            {
                error = std::current_exception();
            }
            const std::lock_guard done(_mutex);
            _read = true;
            _wake.notify_all();
        });
    bool interrupted = false;
    while (!_wake.wait_for(lock, interrupted ? interruptEvery : lookEvery,
                           [&] { return _read || (_stopping && !interrupted); }) ||
           !_read)
        if (interrupted || _stopping || logSize() > logBefore + logMayGrow)
        {
            _cut = true;
            session.interrupt();
            interrupted = true;
        }
    lock.unlock();
    reader.join();
    if (error && !_cut)
        std::rethrow_exception(error);
    if (error || _cut) // an interrupted check may call what it did not read a fault
        return End::Cut;
    if (end == End::Damaged)
        tellDamage(damage);
    else
    {
        std::ofstream(_stamp, std::ios::trunc) << formatTime(nowMs()) << '\n';
        const std::lock_guard told(_mutex);
        _result = {.damage = "", .wholeAt = checkedAt()};
    }
    return end;
}

/// One table after the other: each is a transaction of its own, and lets the log be reset behind it.
RecordCheck::End RecordCheck::read(RecordSession& session, std::string& damage)
{
    try
    {
        for (const auto& table : tablesOf(session))
        {
            if (_cut)
                return End::Cut;
            Statement check = session.prepareOnce("PRAGMA quick_check(" + quoted(table) + ")");
            damage = check.step() ? check.text() : "no answer";
            if (damage != "ok")
                return End::Damaged;
        }
    }
    catch (const Poco::Data::SQLite::CorruptImageException& error)
    {
        damage = error.displayText();
        return End::Damaged;
    }
    return End::Whole;
}

void RecordCheck::tellDamage(const std::string& damage)
{
    std::string line = damage.substr(0, damage.find('\n'));
    {
        const std::lock_guard lock(_mutex);
        _result.damage = line;
    }
    _log("the record " + _record.string() + " is damaged: " + line +
         ". Stop the agent and restore it from a backup, or move it away to start with an empty "
         "record");
}

std::uintmax_t RecordCheck::logSize() const
{
    std::error_code error;
    const auto size = std::filesystem::file_size(_record.string() + "-wal", error);
    return error ? 0 : size;
}

/// Returns false when it is time to stop.
bool RecordCheck::waitFor(std::int64_t ms)
{
    std::unique_lock lock(_mutex);
    return !_wake.wait_for(lock, std::chrono::milliseconds(ms), [this] { return _stopping; });
}

std::optional<TimeMs> RecordCheck::checkedAt() const
{
    struct stat info = {};
    if (::stat(_stamp.c_str(), &info) != 0)
        return std::nullopt;
    return static_cast<TimeMs>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

} // namespace agent
