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
/// Never blocks on the reader: bytes that are not accepted are kept until the next copy().
class ExecLog
{
public:
    /// `folder`: the attempt's. `raw`: bytes unchanged.
    ExecLog(std::filesystem::path folder, int to, bool raw);

    /// Returns a descriptor that is readable when the shim has written; -1 if not supported.
    [[nodiscard]] int descriptor() const { return _changes.get(); }

    /// Returns the time in ms until copy() may be needed regardless of descriptor() and `to`; nullopt: never.
    [[nodiscard]] std::optional<std::int64_t> pause() const;

    /// Copies available bytes, up to some MiB. `whole`: the log is complete.
    void copy(bool whole);

    /// Returns whether a complete log has been written to `to`.
    [[nodiscard]] bool drained() const { return _finished && _pending.empty(); }

    /// Returns whether `to` accepts no more for now.
    [[nodiscard]] bool blocked() const { return !_pending.empty(); }

    /// Returns whether the output so far ends within a line.
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
