#include "tests/torture/Rounds.h"

#include <cppunit/TestAssert.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

namespace agent::test
{

namespace
{

std::uint64_t fromEnvironment(const char* name, std::uint64_t byDefault)
{
    const char* text = std::getenv(name);
    return text && *text ? std::strtoull(text, nullptr, 10) : byDefault;
}

} // namespace

Rounds::Rounds(int byDefault)
    : _slice(fromEnvironment("STAGE_AGENT_TORTURE_ROUNDS", 0) == 0),
      _count(static_cast<int>(
          fromEnvironment("STAGE_AGENT_TORTURE_ROUNDS", static_cast<std::uint64_t>(byDefault)))),
      _seed(fromEnvironment(
          "STAGE_AGENT_TORTURE_SEED",
          static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) %
              1'000'000))
{
}

void Rounds::play(const std::function<void()>& round)
{
    const auto begin = std::chrono::steady_clock::now();
    std::cout << " (seed " << _seed << ", " << _count << " rounds" << std::flush;
    for (int i = 0; i < _count; ++i, ++_seed)
    {
        _random.seed(_seed);
        try
        {
            round();
        }
        catch (const std::exception& error)
        {
            CPPUNIT_FAIL("round " + std::to_string(i) + " of " + std::to_string(_count) +
                         ", again with --rounds 1 --seed " + std::to_string(_seed) + ": " +
                         error.what());
        }
    }
    const auto taken = std::chrono::steady_clock::now() - begin;
    std::cout << ", " << std::chrono::duration_cast<std::chrono::seconds>(taken).count() << " s) "
              << std::flush;
}

int Rounds::pick(int least, int most)
{
    return std::uniform_int_distribution<int>(least, most)(_random);
}

void Rounds::pause(int atMostMs)
{
    std::this_thread::sleep_for(std::chrono::microseconds(pick(0, atMostMs * 1000)));
}

} // namespace agent::test
