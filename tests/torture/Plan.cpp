#include "tests/torture/Plan.h"

#include <functional>

namespace agent::test
{

namespace
{

std::string numbered(int lines)
{
    std::string log;
    for (int line = 1; line <= lines; ++line)
        log += std::to_string(line) + "\n";
    return log;
}

std::string tenths(Rounds& luck, int most)
{
    return "sleep 0." + std::to_string(luck.pick(1, most));
}

} // namespace

Plan anyPlan(Rounds& luck)
{
    const std::vector<std::function<Plan()>> kinds{
        [] { return Plan{.command = "true"}; },
        [&] { return Plan{.command = tenths(luck, 4)}; },
        [&]
        {
            const int lines = luck.pick(1, 3000);
            return Plan{.command = "seq 1 " + std::to_string(lines), .log = numbered(lines)};
        },
        // Slowly, so that it is caught in the midst of it, and with a last line that has no end.
        [&]
        {
            return Plan{.command = "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; printf end",
                        .log = numbered(5) + "end"};
        },
        [] { return Plan{.command = "setsid sleep 30 & echo 1", .log = "1\n", .leaves = true}; },
        // An orphan whose exit code is not the stage's. The command waits until it is reaped, so that none is left behind.
        []
        {
            return Plan{.command = "o=$(setsid sh -c 'echo $$; exec >&-; sleep 0.05; exit 9' &); "
                                   "while kill -0 $o 2>/dev/null; do sleep 0.02; done"};
        },
        // Nothing of the agent is open in a stage.
        []
        {
            return Plan{.command = "for f in 3 4 5 6 7 8 9 20 21; do "
                                   "if [ -e /proc/self/fd/$f ]; then echo open: $f; fi; done"};
        },
        [&]
        {
            const int code = luck.pick(1, 125);
            return Plan{.command = tenths(luck, 2) + "; exit " + std::to_string(code),
                        .status = "FAILURE",
                        .exitCode = code};
        },
        []
        {
            return Plan{.command = "sleep 0.1; kill -9 $$; sleep 30",
                        .status = "FAILURE",
                        .cause = "SIGNAL",
                        .exitCode = -1,
                        .says = false,
                        .leaves = true};
        },
        []
        {
            return Plan{.command = "echo $STAGE_ATTEMPT; [ $STAGE_ATTEMPT = 2 ]",
                        .attempts = 2,
                        .log = "2\n",
                        .options = R"(,"retry":{"attempts":3})"};
        },
        []
        {
            return Plan{.command = "sleep 0.05; exit 3",
                        .status = "FAILURE",
                        .exitCode = 3,
                        .attempts = 2,
                        .options = R"(,"retry":{"attempts":2})"};
        },
        []
        {
            return Plan{.command = "echo 1; sleep 30",
                        .status = "FAILURE",
                        .cause = "TIMEOUT",
                        .exitCode = -1,
                        .says = false,
                        .log = "1\n",
                        .options = R"(,"timeout":"1s")"};
        },
        []
        {
            return Plan{.command = "echo 1; sleep 30",
                        .status = "FAILURE",
                        .cause = "SILENT",
                        .exitCode = -1,
                        .says = false,
                        .log = "1\n",
                        .options = R"(,"silence":"1s")"};
        },
    };
    return kinds[static_cast<std::size_t>(luck.pick(0, static_cast<int>(kinds.size()) - 1))]();
}

std::vector<Plan> anyPlans(Rounds& luck, int atMost)
{
    std::vector<Plan> plans;
    for (int left = luck.pick(1, atMost); left > 0; --left)
        plans.push_back(anyPlan(luck));
    return plans;
}

} // namespace agent::test
