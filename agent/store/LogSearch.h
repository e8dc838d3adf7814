#pragma once

#include <string>
#include <string_view>

namespace agent
{

/// Finds lines that hold a text as a person sees them: letters of ASCII in either case, colours and other
/// escape sequences left out.
/// Threads: one at a time.
class LogSearch
{
public:
    /// An empty text is in every line.
    explicit LogSearch(std::string_view text);

    [[nodiscard]] bool wantsAll() const { return _text.empty(); }

    bool finds(std::string_view line);

private:
    std::string _text;  ///< in lower case
    std::string _shown; ///< the line, in lower case
};

} // namespace agent
