#pragma once

#include <string>

/// Lines for the journal on stdout, one per event, each prefixed by its priority. Source: sd-daemon(3).
/// Threads: any. Control characters become spaces.
namespace agent::journal
{

void info(const std::string& line);
void warn(const std::string& line);
void error(const std::string& line);

} // namespace agent::journal
