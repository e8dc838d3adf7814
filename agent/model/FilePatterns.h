#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent
{

/// Patterns of files below a folder: `*` and `?` stand for characters of one name, `**` for any number of folders. A
/// pattern that matches a folder matches all in it. They are matched name by name on the way down, each in a time linear in
/// pattern and path; no pattern makes it go back.
class FilePatterns
{
public:
    /// `patterns`: relative; empty parts and `.` count for nothing.
    explicit FilePatterns(const std::vector<std::string>& patterns);

    /// How far the patterns have come on the way to a folder or file.
    class Way
    {
    public:
        /// Whether nothing below it can match either.
        [[nodiscard]] bool leadsNowhere() const { return _places.empty() && _matched.empty(); }

        /// The numbers of the patterns that match here, or have matched a folder above.
        [[nodiscard]] const std::vector<std::size_t>& matched() const { return _matched; }

    private:
        friend class FilePatterns;

        std::vector<std::pair<std::size_t, std::size_t>> _places; ///< pattern, and its next part
        std::vector<std::size_t> _matched;
    };

    /// At the folder itself.
    [[nodiscard]] Way begin() const;

    /// One name further down.
    [[nodiscard]] Way next(const Way& way, std::string_view name) const;

private:
    void reach(Way& way, std::size_t pattern, std::size_t part) const;

    std::vector<std::vector<std::string>> _patterns; ///< in parts
};

} // namespace agent
