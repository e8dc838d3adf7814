#pragma once

#include <string>
#include <vector>

namespace agent
{

/// A file of the sources, by its path below the repository: `agent/run/Queue.cpp`.
struct Source
{
    std::string path;
    std::string text;
};

/// A text of C++ taken apart. Both keep the line ends, so that a line's number is right.
struct SourceParts
{
    std::string code;     ///< without comments, each literal as `""` or `''`
    std::string literals; ///< only what stands inside string literals, one blank apart
};

SourceParts takeApart(const std::string& text);

/// Each rule says what breaks it, as `path:line: what`; nothing when all is right.
namespace rules
{
using Problems = std::vector<std::string>;

/// Which folder may include which: the arrows of the design.
Problems includes(const Source& source);

/// Only process/, program/ and shim/ start, signal and wait for processes; nobody asks a shell to.
Problems processes(const Source& source);

/// Only store/ speaks SQL.
Problems sql(const Source& source);

/// Only Config.cpp, by its source, reads the configuration, so that every key is in one place.
Problems configuration(const Source& source);

/// A file can be read in one sitting.
Problems length(const Source& source);

/// A class can be known by heart: it has at most 25 functions, public and private.
Problems classSize(const Source& source);

/// The table in CONTRIBUTING.md says what includes() holds.
Problems layoutTable(const Source& contributing);

/// Nothing is left for later.
Problems leftForLater(const Source& source);
} // namespace rules

} // namespace agent
