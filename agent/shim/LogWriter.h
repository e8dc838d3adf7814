#pragma once

#include "agent/model/Masker.h"
#include "agent/model/TextPieces.h"
#include "agent/shim/LogFile.h"
#include "agent/shim/MaskFile.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Brings the command's streams, one or two, into one log: masked, and by whole lines.
/// A line without its end is held back while the other stream writes, for at most 64 KiB and 200 ms:
/// long enough for a line that was written in pieces, short enough for a prompt or a progress bar.
/// Threads: one at a time; see LogThread.
class LogWriter
{
public:
    using Clock = std::chrono::steady_clock;

    /// `maskFile`: looked at before each byte is shown, and removed by finish().
    LogWriter(const std::string& folder, std::int64_t maxBytes,
              const std::vector<std::string>& secrets, MaskFile maskFile);

    /// Takes what was read of a stream; what is not held becomes one chunk of the log.
    void take(LogStream stream, std::string_view bytes);

    /// Writes what is still held of both streams, and then `lastLine`, masked, as the shim's; empty: none.
    void finish(const std::string& lastLine = {});

    /// Brings all of it to disk; a failure is the file's error.
    void sync() { _file.sync(); }

    /// When the next held line must be shown; nothing when none is held.
    [[nodiscard]] std::optional<Clock::time_point> due() const;

    /// Writes the lines that are due.
    void showDue();

    /// The file: its error, at any time; behind finish() its size and whether it was cut.
    [[nodiscard]] const LogFile& file() const { return _file; }

private:
    struct Stream
    {
        LogStream name;
        Masker masker;
        std::string pending; ///< masked, not yet in the log
        Clock::time_point since;
        Clock::time_point taken; ///< when its last bytes came
    };

    void showPending(Stream& stream);
    void readMaskFile();
    void addSecret(const std::string& secret);

    LogFile _file;
    SecretSet _secrets; ///< of both streams
    Stream _output;
    Stream _errors;
    MaskFile _maskFile;
    TextPieces _masked;                   ///< of take()
    std::vector<std::string_view> _shown; ///< of take()
};

} // namespace agent
