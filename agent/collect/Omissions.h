#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace agent
{

/// What was asked for and is not kept, for people: a few are named, all are counted.
class Omissions
{
public:
    void add(const std::string& path, const std::string& why);

    /// Patterns that no file matches. `what`: what they are of.
    void addUnmatched(const std::vector<std::string>& patterns, const std::string& what);

    /// `not kept: a/b (a symlink) and 3 more; no file matches 'dist/**'`; empty when there are none.
    [[nodiscard]] std::string text() const;

private:
    std::vector<std::string> _named;
    std::size_t _count = 0;
    std::string _unmatched;
};

} // namespace agent
