// Preloaded: the kernel's clock as the program sees it was never synchronised.
#include <sys/timex.h>

extern "C" int adjtimex(timex* state) noexcept
{
    *state = timex{};
    state->status = STA_UNSYNC;
    return TIME_ERROR;
}
