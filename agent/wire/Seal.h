#pragma once

#include "agent/model/Stage.h"

#include <string>
#include <string_view>
#include <utility>

namespace agent
{

// Who wrote a file of an attempt.
//
// A stage of the agent's user can write whatever stands in its attempt's folder, and in those of others. So daemon
// and shim share a random key, which stands in the attempt's row of the record and reaches the shim in memory only
// (behind its secrets, process/Launcher). order.json, the claim in shim.lock and outcome.json carry a last member
// but the checksum,
//
//     "mac": HMAC-SHA-256(key, FILE \0 STAGE_ID.ATTEMPT \0 all bytes before `,"mac"`), in hexadecimal digits
//
// and one without, or with another, is as good as none: neither the file of another attempt nor that of another name
// is taken for it. An attempt that has no key was launched by 0.1.0 until 201749c; its files are believed as they are.

/// The key of one attempt, and the attempt that it belongs to.
class Seal
{
public:
    /// None: every file is believed, and none gets a "mac".
    Seal() = default;

    /// `key`: newKey()'s, as the record has it; empty: none. `attempt`: STAGE_ID.ATTEMPT.
    Seal(std::string key, std::string attempt) : _key(std::move(key)), _attempt(std::move(attempt))
    {
    }

    /// Returns a new random key. Errors: std::system_error.
    static std::string newKey();

    /// The text in which a seal is handed to a shim, and back. A text that is none is no seal.
    [[nodiscard]] std::string text() const;
    static Seal fromText(std::string_view text);

    [[nodiscard]] bool none() const { return _key.empty(); }

    /// Returns the member for a file named `file` that consists of `before` so far; empty when there is no key.
    [[nodiscard]] std::string member(std::string_view file, std::string_view before) const;

    /// Returns `json`, an object, with that member added as its last.
    [[nodiscard]] std::string on(std::string_view file, std::string json) const;

    /// Returns whether `json` is what a holder of the key has written as `file`; true when there is no key.
    [[nodiscard]] bool proves(std::string_view file, std::string_view json) const;

private:
    std::string _key;
    std::string _attempt;
};

/// The seal of the attempt at work in `stage`.
Seal sealOf(const Stage& stage);

} // namespace agent
