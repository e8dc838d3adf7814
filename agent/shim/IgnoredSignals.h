#pragma once

#include <csignal>

namespace agent
{

/// What the shim ignores and its command does not.
constexpr int ignoredSignals[] = {SIGPIPE, SIGHUP,  SIGINT,  SIGQUIT,
                                  SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM};

} // namespace agent
