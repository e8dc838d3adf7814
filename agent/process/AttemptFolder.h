#pragma once

#include "agent/wire/Order.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace agent
{

/// The files of one attempt, as the daemon writes and reads them. Names and meaning: wire/Order.h.
class AttemptFolder
{
public:
    /// `seal`: of the attempt. What it does not prove is not read.
    explicit AttemptFolder(const std::filesystem::path& folder, Seal seal = {});

    [[nodiscard]] const std::filesystem::path& path() const { return _folder; }
    [[nodiscard]] std::filesystem::path lockFile() const { return _folder / files::lock; }

    /// Makes the folder and what is missing above it, mode 0700. Errors: std::system_error.
    void make() const;

    /// Makes the folder, and the stage's above it, where the run's is there. Returns whether it is there now.
    bool makeBelowRun() const;

    /// Puts order.json there in one step; not synced. Errors: std::system_error; an order that stood there
    /// stays.
    void write(const Order& order) const;

    /// What stands in the file.
    /// Errors: nothing when there is no such file or it holds no whole record (a claim or an order that
    /// was being written when the host died, or what a stage put there: see DamagedFile and Seal); std::system_error when it can't be read; for an outcome
    /// std::runtime_error when a newer version of the program wrote it. Of an order of a newer version
    /// only what identityFrom() tells is there.
    [[nodiscard]] std::optional<Order> order() const;
    [[nodiscard]] std::optional<Claim> claim() const;
    [[nodiscard]] std::optional<Outcome> outcome() const;

    /// Whether something stands in place of outcome.json that the attempt's shim did not write.
    [[nodiscard]] bool outcomeRefused() const;

    /// Whether shim.lock holds something that is no claim of the attempt's shim: then a stage has run here, or
    /// another one wrote there.
    [[nodiscard]] bool claimRefused() const;

    /// Whether a power cut took a part of the log, which was `bytes` long: it is shorter, or has a hole or a
    /// block of zeros at its end. A log that was compressed since was synced by that.
    [[nodiscard]] bool logIsCut(std::int64_t bytes) const;

    /// What stands in held.json, of whatever version; nothing where it is damaged.
    [[nodiscard]] std::optional<Held> held() const;

    /// Whether something else stands in place of shim.lock: then a stage has run here, and removed it.
    [[nodiscard]] bool lockReplaced() const;

private:
    template <typename Record>
    [[nodiscard]] std::optional<Record>
    record(const char* name, std::optional<Record> (*from)(const std::string&, std::string*)) const;

    std::filesystem::path _folder;
    Seal _seal;
};

} // namespace agent
