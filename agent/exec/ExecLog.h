#pragma once

#include "agent/ctl/LogFilter.h"
#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// Copies the log of an attempt to a descriptor while the shim writes it, shown as `stagectl logs` does.
/// It never waits for who reads it: what is not taken stays until the next copy().
class ExecLog
{
public:
    /// `folder`: the attempt's. `raw`: the bytes exactly.
    ExecLog(std::filesystem::path folder, int to, bool raw);

    /// Can be read when the shim has written; -1 where the kernel gives no such thing.
    [[nodiscard]] int descriptor() const { return _changes.get(); }

    /// How long until copy() may have something to do, besides by descriptor() and by room in `to`.
    /// Unit: milliseconds. Shape: nothing for ever.
    [[nodiscard]] std::optional<std::int64_t> pause() const;

    /// Copies what there is, up to some MiB. `whole`: nothing more will be written to the log.
    void copy(bool whole);

    /// All of a whole log was taken.
    [[nodiscard]] bool drained() const { return _finished && _pending.empty(); }

    /// `to` takes no more for now.
    [[nodiscard]] bool blocked() const { return !_pending.empty(); }

    /// What was taken ends within a line.
    [[nodiscard]] bool withinLine() const { return _withinLine; }

    /// Why `to` takes nothing any more: an errno; 0 while it does.
    [[nodiscard]] int error() const { return _error; }

private:
    bool flush();
    bool readOn();

    std::filesystem::path _folder;
    int _to;
    bool _raw;
    ctl::LogFilter _filter{ctl::LogFilter::Colours::Keep};
    FileDescriptor _changes;
    FileDescriptor _log;
    std::string _pending; ///< read, and not yet taken
    bool _more = false;   ///< the last copy() ended before the log did
    bool _finished = false;
    bool _withinLine = false;
    int _error = 0;
};

} // namespace agent
