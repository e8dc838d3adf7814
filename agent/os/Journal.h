#pragma once

#include <string>

/// Lines on stdout, one per event, each prefixed by its priority where the journal reads it (sd-daemon(3)), else by
/// `error: ` or `warning: ` where it is one.
/// Threads: any. Control characters become spaces.
namespace agent::journal
{

void info(const std::string& line);
void warn(const std::string& line);
void error(const std::string& line);

} // namespace agent::journal
