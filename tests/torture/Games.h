#pragma once

#include "tests/torture/Trial.h"

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace agent::test
{

/// A daemon that meets a failpoint.
struct Game
{
    Daemon daemon;
    Trial trial{daemon};
    std::string failpoint;
    bool started = false;
};

/// Games that go on at the same time: most of what one takes is the time limits of its stages.
class Games
{
public:
    /// `begin` prepares each daemon.
    explicit Games(const std::function<void(Daemon&)>& begin)
    {
        for (auto& game : _all)
        {
            game = std::make_unique<Game>();
            begin(game->daemon);
        }
    }

    /// Plays each of `failpoints` in these phases; all that play at the same time go through one before any begins the next.
    /// Errors: fails the test; the text names the failpoint.
    void play(const std::vector<std::string>& failpoints,
              const std::vector<std::function<void(Game&)>>& phases)
    {
        for (std::size_t first = 0; first < failpoints.size(); first += _all.size())
        {
            const std::size_t count = std::min(_all.size(), failpoints.size() - first);
            for (std::size_t i = 0; i < count; ++i)
                _all[i]->failpoint = failpoints[first + i];
            for (const auto& phase : phases)
                for (std::size_t i = 0; i < count; ++i)
                    play(*_all[i], phase);
        }
    }

private:
    static void play(Game& game, const std::function<void(Game&)>& phase)
    {
        try
        {
            phase(game);
        }
        catch (const std::exception& error)
        {
            CPPUNIT_FAIL("at " + game.failpoint + ": " + error.what());
        }
    }

    std::array<std::unique_ptr<Game>, 6> _all;
};

} // namespace agent::test
