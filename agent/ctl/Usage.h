#pragma once

#include <string>

namespace CLI
{
class App;
class ParseError;
} // namespace CLI

namespace agent::ctl
{

/// Returns the message for a command line that `app` could not parse: the unknown verb or option with a
/// suggestion, else the error's text. The second line names the help to read.
std::string usageMessage(const CLI::App& app, const CLI::ParseError& error);

} // namespace agent::ctl
