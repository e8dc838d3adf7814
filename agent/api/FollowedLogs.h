#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/store/LogReader.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace agent
{

/// The log of an attempt, as all its followers see it: opened once, looked at once for each change.
/// Threads: the followers'.
class FollowedLog
{
public:
    explicit FollowedLog(std::filesystem::path folder) : _folder(std::move(folder)) {}

    /// What can be read now; null when there is no log (yet). `over`: the attempt has ended, so nothing
    /// will be added.
    /// Errors: as LogReader.
    LogReader* reader(bool over);

    /// Something was written.
    void touch() { _stale = true; }

    struct Block
    {
        std::string text;
        std::uint64_t line = 0; ///< the last line in it
    };

    /// The lines after `line` as `log` events, some 16 KiB of them; ids are `prefix` and the line's number.
    /// A line without its end counts once the attempt is over. Returns an empty block when there is none.
    /// Owner: the log, until its next call.
    const Block& events(std::uint64_t line, bool over, const std::string& prefix,
                        const std::string& stageId, int attempt);

private:
    std::filesystem::path _folder;
    std::optional<LogReader> _reader;
    bool _stale = true;
    bool _over = false;

    // The block made last: followers that are up to date all ask for the same one.
    Block _block;
    std::string _blockPrefix;
    std::uint64_t _blockAfter = 0;
    bool _blockFresh = false;
};

/// The logs that are followed now, and the one inotify descriptor that tells of what is written to them.
/// Threads: the followers'.
class FollowedLogs
{
public:
    /// `runs`: the folder above all attempts, which exists.
    /// Errors: std::system_error.
    explicit FollowedLogs(std::filesystem::path runs);

    /// Readable when look() has something to do.
    [[nodiscard]] int descriptor() const { return _inotify.get(); }

    /// The log of the attempt in `folder`, which need not exist yet.
    std::shared_ptr<FollowedLog> open(const std::filesystem::path& folder);

    /// Takes note of what has changed.
    void look();

    /// Stops watching logs without followers.
    void sweep();

private:
    /// A folder of an attempt, or the deepest one above it that exists.
    struct Watch
    {
        std::filesystem::path folder;
        std::set<std::filesystem::path> attempts;
    };

    void watch(const std::filesystem::path& attempt);
    void forget(int descriptor, const std::filesystem::path& attempt);
    void take(int descriptor, std::uint32_t mask, std::string_view name);
    void touchAll();

    std::filesystem::path _runs;
    FileDescriptor _inotify;
    std::map<std::filesystem::path, std::weak_ptr<FollowedLog>> _logs;
    std::map<int, Watch> _watches;
};

} // namespace agent
