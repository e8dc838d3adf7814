#pragma once

#include "agent/document/Document.h"

#include <string>
#include <vector>

namespace agent
{

// What the readers of YAML and of JSON share. For YamlDocument.cpp and JsonDocument.cpp alone.

/// Returns whether `text` may be parsed: within the limit of bytes, UTF-8, no control characters but
/// tabs and line ends.
/// Errors: false, and why in `problems`.
bool checkText(const std::string& text, const std::string& file, const DocumentLimits& limits,
               std::vector<Problem>& problems);

/// Returns the line, from 1, on which byte `offset` of `text` stands.
int lineAt(const std::string& text, std::size_t offset);

/// Returns whether RapidJSON reads `text` as a number, so that it can be written into JSON unchanged and
/// be read again. 007 and 1e999 are none.
bool isJsonNumber(const std::string& text);

} // namespace agent
