// In its own file: the programs with failpoints replace it by a clock that tests can set.
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
