#pragma once

#include <cstdlib>
#include <iostream>

namespace agent::test
{

/// Whether this host lets us make a sandbox; says so where it does not.
inline bool canSandbox()
{
    static const bool can =
        std::system(STAGE_AGENT_BIN_DIR
                    "/stage-shim --probe-sandbox /usr/bin/bwrap >/dev/null 2>&1") == 0;
    if (!can)
        std::cout << " (skipped: no sandbox on this host) " << std::flush;
    return can;
}

} // namespace agent::test
