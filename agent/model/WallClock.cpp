// Alone in its file: the programs with failpoints have one that a test can set.
#include "agent/model/Timestamp.h"

#include <chrono>

namespace agent
{

TimeMs nowMs()
{
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace agent
