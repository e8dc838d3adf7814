#pragma once

#include <CLI/App.hpp>

#include <memory>
#include <string>

namespace agent::ctl
{

/// Returns the formatter of all help texts: no line is longer than 80 columns.
std::shared_ptr<CLI::Formatter> helpFormatter();

/// Sets what stands below the help of the program, and of each verb: its own examples.
void addFooters(CLI::App& app);

/// Returns the text of `stagectl help TOPIC`: `ids`, `agents`, `output`, `exit-codes`; empty for other words.
std::string topicText(const std::string& topic);

} // namespace agent::ctl
