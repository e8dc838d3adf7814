#include "plugins/git/Workspace.h"

#include "plugins/git/Program.h"

#include <algorithm>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

/// Returns the length of the UTF-8 character at the beginning of `text`; 0 if invalid.
/// Source: RFC 3629, section 4.
std::size_t characterLength(std::string_view text)
{
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = at(0);
    if (first < 0x80)
        return 1;
    const std::size_t length = first < 0xC2   ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || text.size() < length)
        return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((at(i) & 0xC0) != 0x80)
            return 0;
    const bool overlong = (first == 0xE0 && at(1) < 0xA0) || (first == 0xF0 && at(1) < 0x90);
    const bool surrogate = first == 0xED && at(1) > 0x9F;
    const bool tooHigh = first == 0xF4 && at(1) > 0x8F;
    return overlong || surrogate || tooHigh ? 0 : length;
}

/// Entries of a folder without write permission can't be removed.
void makeFoldersWritable(const fs::path& top)
{
    if (fs::is_symlink(top) || !fs::is_directory(top))
        return;
    std::error_code ignored; // the removal reports errors, with the reason
    fs::permissions(top, fs::perms::owner_all, fs::perm_options::add, ignored);
    for (const fs::directory_entry& entry : fs::directory_iterator(top, ignored))
        makeFoldersWritable(entry.path());
}

} // namespace

void emptyFolder(const fs::path& folder)
{
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    {
        std::error_code error;
        fs::remove_all(entry.path(), error);
        if (!error)
            continue;
        makeFoldersWritable(entry.path());
        fs::remove_all(entry.path(), error);
        if (error)
            throw Failure("git: can't empty the workspace: " + entry.path().string() + ": " +
                          error.message());
    }
}

std::string asUtf8(std::string_view text, std::size_t maxBytes)
{
    const auto end = text.find_last_not_of(" \t\r\n\v\f");
    text = text.substr(0, end == text.npos ? 0 : end + 1);

    std::string clean;
    while (!text.empty())
    {
        const std::size_t length = characterLength(text);
        const std::string_view next = length == 0 ? "\xEF\xBF\xBD" : text.substr(0, length);
        if (clean.size() + next.size() > maxBytes)
            break;
        clean += next;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return clean;
}

} // namespace agent::git
