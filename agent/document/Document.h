#pragma once

#include "agent/model/PipelineSpec.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <rapidjson/fwd.h>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Where something stands; from 1; 0 where it is not told.
struct Place
{
    int line = 0;
    int column = 0;
};

/// A value of a YAML or JSON document, and where it stands. Aliases are expanded.
struct DocumentNode
{
    enum class Kind
    {
        Null,
        String,
        Number, ///< written plainly, in JSON's grammar: `007` and `0x1f` are strings
        Boolean,
        List,
        Map
    };

    Kind kind = Kind::Null;
    std::string key;  ///< of a map's member
    int line = 0;     ///< from 1; a map's member: the line of its key
    int column = 0;   ///< the same; 0 where it is not told
    std::string text; ///< of a scalar, as written
    std::vector<DocumentNode>
        items; ///< of a list; of a map its members, in the order of the document
};

/// What a document may be at most, so that no file can make us slow or large.
struct DocumentLimits
{
    std::size_t bytes = 262'144; ///< also four times that after the expansion of aliases
    std::size_t nodes = 10'000;  ///< after the expansion of aliases
    std::size_t depth = 32;
    bool columns = false; ///< problems of YAML tell the column too
};

/// Reads a regular file whole; never blocks on a FIFO.
/// Errors: nothing, and why in `problems`, also when it is longer than `maxBytes`.
std::optional<std::string> readText(const std::filesystem::path& path, std::size_t maxBytes,
                                    std::vector<Problem>& problems);

/// Reads one YAML document. Problems are reported with `file`; empty for a request.
/// Returns: nothing when the text is malformed or over a limit. Duplicate keys, control characters in
/// strings and keys that are no plain text are only reported, so that the rest can still be checked.
/// Errors: each is in `problems`; throws nothing of yaml-cpp's.
std::optional<DocumentNode> parseYaml(const std::string& text, const std::string& file,
                                      std::vector<Problem>& problems,
                                      const DocumentLimits& limits = {});

/// The same for JSON, which YAML readers accept only in part (no surrogate pairs, no tabs).
std::optional<DocumentNode> parseJson(const std::string& text, const std::string& file,
                                      std::vector<Problem>& problems,
                                      const DocumentLimits& limits = {});

/// The same for a value of JSON that RapidJSON has parsed already. Lines are 0.
std::optional<DocumentNode> documentOf(const rapidjson::Value& value,
                                       std::vector<Problem>& problems,
                                       const DocumentLimits& limits = {});

/// Returns a value as JSON without blanks; numbers as they were written.
std::string jsonOf(const DocumentNode& node);

} // namespace agent
