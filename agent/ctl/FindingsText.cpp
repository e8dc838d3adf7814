#include "agent/ctl/Doctor.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <sstream>

namespace agent::ctl
{

namespace
{

constexpr std::size_t statusWidth = 6; // `warn` and two blanks
constexpr std::size_t minColumns = 20; // readable column

std::string colourOf(Health health)
{
    return health == Health::Ok ? "\x1b[32m" : health == Health::Warn ? "\x1b[33m" : "\x1b[31m";
}

std::string padded(std::string text, std::size_t width)
{
    text.append(width - std::min(width, displayWidth(text)), ' ');
    return text;
}

/// Returns the text wrapped at blanks to `width` columns (0: not wrapped), lines after the first indented
/// by `indent`. Longer words are not broken: they may be paths to copy.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width)
{
    if (width == 0)
        return text;
    std::string out;
    std::size_t column = 0;
    std::istringstream words(text);
    for (std::string word; words >> word;)
    {
        const std::size_t size = displayWidth(word);
        if (column > 0 && column + 1 + size > width)
        {
            out += "\n" + std::string(indent, ' ');
            column = 0;
        }
        out += (column > 0 ? " " : "") + word;
        column += (column > 0 ? 1 : 0) + size;
    }
    return out;
}

} // namespace

std::string described(const Findings& findings, const Terminal& terminal)
{
    std::size_t names = 0;
    for (const Finding& finding : findings.all())
        names = std::max(names, displayWidth(finding.check));
    const std::size_t indent = statusWidth + names + 2;
    const std::size_t width = terminal.width > indent + minColumns ? terminal.width - indent : 0;

    std::string out;
    for (const Finding& finding : findings.all())
    {
        const std::string status(toString(finding.health));
        out += terminal.colours ? colourOf(finding.health) + status + "\x1b[0m" : status;
        out.append(statusWidth - status.size(), ' ');
        out += padded(visible(finding.check), names + 2);
        out += wrapped(visible(finding.seen), indent, width) + "\n";
        if (!finding.advice.empty())
            out += std::string(indent, ' ') + "-> " +
                   wrapped(visible(finding.advice), indent + 3, width > 3 ? width - 3 : 0) + "\n";
    }
    return out + std::to_string(findings.count(Health::Ok)) + " ok, " +
           std::to_string(findings.count(Health::Warn)) + " warn, " +
           std::to_string(findings.count(Health::Fail)) + " fail\n";
}

std::string toJson(const Findings& findings)
{
    std::string all;
    for (const Finding& finding : findings.all())
        all.append(all.empty() ? "" : ",\n ")
            .append(ObjectWriter()
                        .add("check", finding.check)
                        .add("status", std::string(toString(finding.health)))
                        .add("seen", visible(finding.seen)) // a path may not be UTF-8
                        .add("advice", visible(finding.advice))
                        .done());
    return "[" + all + "]";
}

} // namespace agent::ctl
