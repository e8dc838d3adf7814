#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/process/AttemptFolder.h"
#include "agent/process/Cgroup.h"
#include "agent/process/PortKeeper.h"
#include "agent/process/SpareShim.h"
#include "agent/process/Spawn.h"
#include "agent/wire/Order.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// Names and values; they live in memory and in the shim's memfd only. One without a name is no variable of the stage: its
/// log shows it masked.
using Secrets = std::vector<std::pair<std::string, std::string>>;

/// A living shim, started by us or by a daemon before us.
struct Shim
{
    int pid = 0;
    FileDescriptor pidfd{};
    FileDescriptor
        socket{}; ///< to it, where it tells its outcome; not valid: none, as to one that we adopted
    std::string missingLimits{};   ///< what its order limits and nothing holds, comma-separated
    std::string cgroup{};          ///< of its stage; empty: none
    std::uint64_t handedTicks = 0; ///< clock ticks since boot when it got its attempt from us
};

/// All that a launch needs but the process: the attempt's folder with its lock and its order, its cgroup, its
/// secrets, and perhaps an armed shim. Nothing of it is executed yet. Where it is dropped, shim, lock and cgroup go; the
/// files stay, and mean nothing: the attempt has no claim.
class PreparedLaunch
{
public:
    PreparedLaunch(AttemptFolder folder, FileDescriptor lock, FileDescriptor secrets,
                   std::string cgroup, std::string missingLimits);
    PreparedLaunch(PreparedLaunch&& other) noexcept = default;
    PreparedLaunch& operator=(PreparedLaunch&& other) = delete;
    ~PreparedLaunch();

    [[nodiscard]] const AttemptFolder& folder() const { return _folder; }

private:
    friend class Launcher;

    struct Disarm
    {
        void operator()(SpareShim* spare) const noexcept { spare->disarm(); }
    };

    AttemptFolder _folder;
    FileDescriptor _lock;
    FileDescriptor _secrets; ///< not valid: there are none
    std::string _cgroup;     ///< empty: none, or the shim's now
    std::string _missingLimits;
    std::unique_ptr<SpareShim, Disarm> _armed; ///< waits with this attempt; the Launcher's
};

/// What the disk says about an attempt.
struct Attempt
{
    enum class State
    {
        NeverRan, ///< no claim: nothing of it was executed
        Running,  ///< its shim holds the lock; `shim` is set
        Ended,    ///< `outcome` is set
        Lost,     ///< claimed, no outcome, no shim
        Rebooted  ///< launched under another boot id, and no whole outcome
    };

    State state = State::NeverRan;
    Shim shim;
    Outcome outcome;
    bool rebooted = false; ///< Ended, by being asked to, and the host was started again since
    std::optional<Claim> claim;
};

/// Starts shims, finds them again, and ends what a lost one left behind. The only way to a process.
/// Threads: the engine's only, but for prepare() and arm().
class Launcher
{
public:
    /// `shim` is the stage-shim program; `cgroup` the tree under which stages get their own. `keeper` is told of each
    /// shim, and must outlive this; nullptr: none.
    Launcher(const std::filesystem::path& shim, Cgroup cgroup, Bond bond = Bond::Outlives,
             PortKeeper* keeper = nullptr);

    /// Makes `folder` where it is missing (mode 0700), takes the lock of shim.lock, makes the cgroup and writes
    /// order.json, with the cgroup's name.
    /// Errors: std::system_error whose text names what failed and where; the folder may be launched into again.
    /// EEXIST where an attempt was made already: never a second one.
    /// Blocks: where an armed shim of a daemon that is gone has the lock yet, until it has ended, at most 2 s.
    /// Threads: any.
    [[nodiscard]] PreparedLaunch prepare(const std::filesystem::path& folder, Order order,
                                         const Secrets& secrets) const;

    /// Lets the spare shim make all ready for the attempt that it can without executing anything, until start(). Has no
    /// effect where there is no spare, or it is armed.
    /// Threads: any.
    void arm(PreparedLaunch& launch) const;

    /// Lets the armed shim execute the attempt. Where there is none, gives it to the spare shim, or starts one, which
    /// inherits the lock.
    /// Errors: std::system_error; then no shim runs, and the folder may be launched into again.
    /// Blocks: without a spare for the exec of the shim, about a millisecond.
    Shim start(PreparedLaunch launch);

    /// Both in one.
    Shim launch(const std::filesystem::path& folder, Order order, const Secrets& secrets)
    {
        return start(prepare(folder, std::move(order), secrets));
    }

    /// Starts the spare shim for the next launch, where there is none. Shims that end with us get none: they are
    /// few.
    void refill() const;

    /// Ends the spare shim.
    void endSpare() const;

    /// Looks at the attempt in `folder`: lock held, outcome, boot id, claim, in this order. `recordedBoot`: the
    /// boot of its launch as the record has it. Where that is another one than now, only an outcome with a
    /// checksum counts, and nothing is NeverRan: see docs/durability.md. Empty: launched by a daemon that did
    /// not record it and synced all files instead; what they say counts.
    /// A lock that is held by a shim whose claim is not yet written counts as Running once the claim is
    /// there; waits for that at most 5 s.
    /// Errors: std::system_error where the folder can't be read or a held lock stays without a claim,
    /// std::runtime_error where an outcome of a newer version stands there.
    /// `seal`: of the attempt, as the record has it. A file that it does not prove is not believed; a claim that it does
    /// not prove says that something ran here all the same.
    [[nodiscard]] Attempt find(const std::filesystem::path& folder,
                               const std::string& recordedBoot = {}, const Seal& seal = {}) const;

    /// As find(), for an attempt whose shim is known to have ended.
    [[nodiscard]] Attempt endOf(const std::filesystem::path& folder,
                                const std::string& recordedBoot, const Seal& seal = {}) const;

    /// Sets the limits of a running attempt that this daemon did not start once more: they may have gone
    /// with the last daemon. Returns those that nothing holds, comma-separated.
    [[nodiscard]] static std::string limitAgain(const Order& order);

    /// Asks the shim to end its stage: TERM, grace, KILL, outcome STOPPED. Harmless when it is gone.
    static void stop(const Shim& shim);

    /// Returns the shim of `claim` if it is still there; else one without a descriptor.
    /// Errors: std::system_error when it can't be watched.
    [[nodiscard]] static Shim living(const Claim& claim);

    /// Continues a stopped shim. Has no effect on one that runs.
    static void resume(const Shim& shim);

    /// Sends KILL to every child of ours that is no shim, and to what descends from it: an orphan that a killed shim has
    /// left to us, its subreaper, whatever it did to its session and its environment. Reaps those that have ended.
    /// Returns how many were still there; 0 where we are no subreaper (PR_SET_CHILD_SUBREAPER).
    [[nodiscard]] std::size_t endOrphans() const;

    /// The shim with this pid has ended: what has the number next is none.
    void shimEnded(int pid) { _shims.erase(pid); }

    /// Ends a shim that does not answer. Its stage's processes are endRemains' business.
    static void kill(const Shim& shim);

    /// Sends KILL to every process of an attempt whose shim is lost: of its cgroup, else by session, claim and
    /// STAGE_ID in the environment. Call it again until it returns 0.
    /// Returns how many processes were still there.
    [[nodiscard]] static std::size_t endRemains(const Order& order,
                                                const std::optional<Claim>& claim);

    /// The same by what order and claim say in `folder`.
    [[nodiscard]] std::size_t endRemains(const std::filesystem::path& folder) const;

    /// Removes an attempt's empty cgroup. Nothing happens where the name is none of a stage's.
    static void removeCgroup(const std::string& cgroup);

    /// The same for the one that the order in `folder` names.
    void forget(const std::filesystem::path& folder) const;

    [[nodiscard]] const Cgroup& cgroup() const { return _cgroup; }

private:
    void refill(SpareShim& spare) const;

    std::filesystem::path _shim;
    Cgroup _cgroup;
    Bond _bond;
    PortKeeper* _keeper;
    std::unique_ptr<SpareShim> _spare; ///< none for shims that end with us
    std::set<int> _shims;              ///< our children that have an attempt
};

} // namespace agent
