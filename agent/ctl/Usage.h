#pragma once

#include <string>

namespace CLI
{
class App;
class ParseError;
} // namespace CLI

namespace agent::ctl
{

/// What was wrong with the command line that `app` could not parse, for a person: an unknown verb or
/// option by its name, with the one that may have been meant; else the error's own words. The second
/// line is where to look.
std::string wrongUsage(const CLI::App& app, const CLI::ParseError& error);

} // namespace agent::ctl
