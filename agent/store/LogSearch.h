#pragma once

#include <string>
#include <string_view>

namespace agent
{

/// Finds lines that contain a text, ignoring ASCII case, colours and other escape sequences.
/// Threads: one at a time.
class LogSearch
{
public:
    /// An empty text matches every line.
    explicit LogSearch(std::string_view text);

    [[nodiscard]] bool wantsAll() const { return _text.empty(); }

    bool finds(std::string_view line);

private:
    std::string _text;  ///< in lower case
    std::string _shown; ///< the line, in lower case
};

} // namespace agent
