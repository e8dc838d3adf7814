#pragma once

#include "agent/model/Masker.h"
#include "agent/model/TextPieces.h"
#include "agent/shim/LogFile.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Brings the command's two streams into one log: masked, and by whole lines.
/// A line without its end is held back while the other stream writes, for at most 64 KiB and 200 ms:
/// long enough for a line that was written in pieces, short enough for a prompt or a progress bar.
class LogWriter
{
public:
    using Clock = std::chrono::steady_clock;

    /// `maskFile`: where the stage writes further secrets, one per line ($STAGE_MASK); created
    /// empty, mode 0600, and removed by finish(). Empty: none.
    LogWriter(const std::string& folder, std::int64_t maxBytes,
              const std::vector<std::string>& secrets, std::string maskFile);

    /// Takes what was read of a stream; a whole read becomes one chunk of the log.
    void take(LogStream stream, std::string_view bytes);

    /// Writes what is still held of both streams.
    void finish();

    /// Brings all of it to disk; a failure is the file's error.
    void sync() { _file.sync(); }

    /// When the next held line must be shown; nothing when none is held.
    [[nodiscard]] std::optional<Clock::time_point> due() const;

    /// Writes the lines that are due.
    void showDue();

    /// The file: its error, size and whether it was cut.
    [[nodiscard]] const LogFile& file() const { return _file; }

private:
    struct Stream
    {
        LogStream name;
        Masker masker;
        std::string pending; ///< masked, not yet in the log
        Clock::time_point since;
    };

    void showPending(Stream& stream);
    void readMaskFile();
    void addSecret(const std::string& secret);

    LogFile _file;
    SecretSet _secrets; ///< of both streams
    Stream _output;
    Stream _errors;
    TextPieces _masked; ///< of take()
    std::vector<std::string_view> _shown;
    std::string _maskPath;
    FileDescriptor _maskFile;
    std::uint64_t _maskFileRead = 0;
    bool _maskFileFull = false;
    std::string _maskLine; ///< of the mask file, its end not yet there
};

} // namespace agent
