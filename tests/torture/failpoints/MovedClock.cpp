// The wall clock of the programs with failpoints: the real one, moved by as many milliseconds as the file
// named by STAGE_AGENT_CLOCK_SHIFT says. Only the wall clock moves, as when someone sets the host's.
#include "agent/model/Timestamp.h"

#include <chrono>
#include <cstdlib>
#include <fstream>

namespace agent
{

TimeMs nowMs()
{
    using namespace std::chrono;
    std::int64_t shift = 0;
    if (const char* file = std::getenv("STAGE_AGENT_CLOCK_SHIFT"))
        std::ifstream(file) >> shift;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count() + shift;
}

} // namespace agent
