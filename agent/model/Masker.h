#pragma once

#include "agent/model/LineEnds.h"
#include "agent/model/SecretSet.h"
#include "agent/model/TextPieces.h"
#include "agent/model/WrappedText.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Replaces secrets in a stream of bytes, across all borders of chunks.
///
/// Looks for each secret in all its forms (see SecretEncodings.h). Bytes that belong to at least one
/// occurrence are covered; each run of covered bytes becomes one `***`, all other bytes stay as they
/// are. A form that an encoder broke into lines (base64, xxd -p, od -An -tx1, openssl) is an occurrence as well:
/// see WrappedText.h. Its line breaks are not covered. Occurrences may overlap each other and themselves: a matcher that goes back to the pattern's first
/// byte after a partial match misses `aab` in `aaab`. The time is linear in the stream's length, whatever
/// the secrets and the stream are.
///
/// Threads: none of its own; one stream, one Masker.
class Masker
{
public:
    /// Errors: std::invalid_argument for a secret of fewer than 4 bytes (`shortestSecret`).
    explicit Masker(const std::vector<std::string>& secrets);

    /// Borrows a set, which other streams may share.
    explicit Masker(SecretSet& secrets) : _secrets(&secrets) {}

    /// Adds a secret to the set, to be found in the bytes that are fed from now on.
    /// Errors: std::invalid_argument for fewer than 4 bytes; nothing changed then.
    void add(std::string_view secret) { _secrets->add(secret); }

    /// Takes the stream's next bytes and appends to `out` all that is decided, masked. What is not masked is
    /// borrowed from `in`.
    void feed(std::string_view in, TextPieces& out);

    /// The same, as a copy.
    void feed(std::string_view in, std::string& out);

    /// Whether what is held is a line with its end, which is held for its last bytes alone: fewer than 11 that may be
    /// the beginning of a form which goes on in the next line.
    [[nodiscard]] bool showable() const;

    /// Appends that line, for a stream that makes a pause. What goes on behind it is masked all the same, so that of a form
    /// which an encoder breaks there at most its first 10 bytes are shown, and never all of it.
    void show(std::string& out);

    /// Ends the stream: appends what is held. The next `feed` begins a new one.
    void flush(std::string& out);

    /// Returns how many bytes were taken and not yet appended, since they may be the beginning of a secret.
    /// A covered byte is held only while one before it is not decided.
    [[nodiscard]] std::size_t held() const { return _held.size(); }

private:
    /// A run of covered bytes, in positions of the stream.
    struct Cover
    {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };

    void scanLines(std::string_view in);
    [[nodiscard]] bool mayReachOver(std::string_view in, std::size_t at) const;
    void scan(std::string_view in);
    void scanWrapped(std::string_view in, std::uint64_t begin);
    void stepWrapped(char byte, std::uint64_t end);
    [[nodiscard]] std::uint64_t unfinishedFrom();
    void cover(std::uint64_t begin, std::uint64_t end);
    void release(std::uint64_t limit, std::string_view in, TextPieces& out);
    void pass(std::uint64_t end, std::string_view in, TextPieces& out);

    std::unique_ptr<SecretSet> _own; ///< where none is borrowed
    SecretSet* _secrets;
    PatternAutomaton::State _state;

    // Positions in the stream count from 1, so that 0 is before all of it.
    std::uint64_t _at = 1;       ///< of the next byte
    std::uint64_t _decided = 1;  ///< all before it is appended
    std::uint64_t _maskedTo = 0; ///< end of the last run whose `***` is appended
    std::string _held;           ///< the bytes from _decided to _at
    std::vector<Cover> _covers;  ///< not yet appended, ascending, with bytes between them

    struct WalkedEnd
    {
        std::uint64_t at = 0;
        PatternAutomaton::State state;
    };
    bool _mayShow = false; ///< of showable(): as of the last feed
    LineEnds _ends;        ///< of a slice of what is fed
    std::vector<WalkedEnd>
        _walkedEnds; ///< of scan(): within a form of which much stands before them
    WrappedText _text;
    PatternAutomaton::State
        _wrapped; ///< in the stream without its breaks; depth 0: no other than _state
};

} // namespace agent
