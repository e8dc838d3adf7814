#pragma once

#include <string>

namespace agent::git
{

/// Which contents of files a mirror is fetched without (`filter` of the plugin): those of all files, or of large ones. It gets
/// them when a commit that has them is checked out. Commits and folders are always fetched.
class Filter
{
public:
    /// None: all is fetched.
    Filter() = default;

    /// Reads `blob:none` or `blob:limit=SIZE`, with SIZE in bytes or with k, m or g; nothing is none.
    /// Errors: Failure for anything else.
    static Filter parse(const std::string& text);

    [[nodiscard]] bool any() const { return !_specification.empty(); }

    /// Returns it as git's option takes it, the same text for the same filter; empty: none.
    [[nodiscard]] const std::string& specification() const { return _specification; }

private:
    std::string _specification;
};

} // namespace agent::git
