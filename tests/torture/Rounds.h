#pragma once

#include <cstdint>
#include <functional>
#include <random>

namespace agent::test
{

/// How long a torture suite plays, and with which luck.
/// Source: STAGE_AGENT_TORTURE_ROUNDS, else the suite's own small number; STAGE_AGENT_TORTURE_SEED, else
/// the clock.
class Rounds
{
public:
    explicit Rounds(int byDefault);

    /// Plays them all. Round N has the luck of seed + N, so a failure is played again as a single one.
    /// Errors: fails the test at the first that fails; the text says how to play it again.
    void play(const std::function<void()>& round);

    /// Nobody said how many: a suite that walks a long list takes some of it only.
    [[nodiscard]] bool slice() const { return _slice; }

    /// A number of `least` to `most`.
    int pick(int least, int most);
    bool chance(int ofHundred) { return pick(1, 100) <= ofHundred; }

    /// Sleeps up to `atMostMs`: not to wait for anything, but for a moment that nobody chose.
    void pause(int atMostMs);

private:
    bool _slice;
    int _count;
    std::uint64_t _seed;
    std::mt19937_64 _random;
};

} // namespace agent::test
