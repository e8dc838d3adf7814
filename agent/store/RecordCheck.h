#pragma once

#include "agent/model/Timestamp.h"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace agent
{

class RecordSession;

/// Reads header, schema and the root page of each table, and nothing that grows with the record.
/// Errors: Poco::Data::DataException: what is wrong with them.
void checkFirstPages(RecordSession& session);

/// Checks the whole record in the background, at low priority, through a read-only connection: once a
/// week, and soon after the daemon did not end cleanly. `record.checked` beside the record has the time
/// of the last check that found nothing.
///
/// A check keeps the write-ahead log from being reset. When the log has grown by 64 MiB meanwhile, the
/// check is given up and begins anew an hour later.
class RecordCheck
{
public:
    using Log = std::function<void(const std::string& line)>;

    /// `owed`: a check is due whatever `record.checked` says. `log` gets one line for each fault, from
    /// the check's own thread.
    RecordCheck(std::filesystem::path record, bool owed, Log log);
    ~RecordCheck() { stop(); }
    RecordCheck(const RecordCheck&) = delete;
    RecordCheck& operator=(const RecordCheck&) = delete;

    void start();

    /// Ends a check that is under way, without a result. Blocks for some milliseconds.
    void stop();

    struct Result
    {
        std::string damage;            ///< what SQLite says is wrong; empty: nothing was found
        std::optional<TimeMs> wholeAt; ///< the last check that found nothing
    };

    /// Threads: any.
    [[nodiscard]] Result result() const;

    /// Returns how long to wait for the next check, in ms, when the last one was at `checked`.
    [[nodiscard]] static std::int64_t delay(std::optional<TimeMs> checked, TimeMs now);

private:
    enum class End
    {
        Whole,
        Damaged,
        Cut ///< by stop(), or by a write-ahead log that grew too long
    };

    void work();
    End check();
    End read(RecordSession& session, std::string& damage);
    [[nodiscard]] std::uintmax_t logSize() const;
    [[nodiscard]] bool waitFor(std::int64_t ms);
    [[nodiscard]] std::optional<TimeMs> checkedAt() const;
    void tellDamage(const std::string& damage);

    const std::filesystem::path _record;
    const std::filesystem::path _stamp;
    const Log _log;
    std::atomic<bool> _cut = false; ///< the check that is under way is to end

    mutable std::mutex _mutex;
    std::condition_variable _wake;
    bool _stopping = false; // guarded by _mutex
    bool _read = false;     // guarded by _mutex: the reader has come to its end
    Result _result;         // guarded by _mutex
    std::thread _thread;
};

} // namespace agent
