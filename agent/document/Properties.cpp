#include "agent/document/Properties.h"

#include <Poco/Exception.h>
#include <Poco/String.h>
#include <Poco/Util/MapConfiguration.h>
#include <Poco/Util/PropertyFileConfiguration.h>
#include <Poco/Util/SystemConfiguration.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace agent
{

namespace
{

const std::string commandLine = "-D";

// What goes before what; the file stands between the two.
constexpr int definedPriority = -1;
constexpr int systemPriority = 1;

/// Returns why the file can't be read; empty if `text` holds it.
std::string readAll(const std::filesystem::path& file, std::string& text)
{
    std::error_code error;
    const auto kind = std::filesystem::status(file, error).type();
    if (kind == std::filesystem::file_type::not_found)
        return "there is no such configuration file";
    if (!error && kind != std::filesystem::file_type::regular)
        return "is no file";
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return std::string("can't be read: ") + std::strerror(errno);
    std::ostringstream content;
    content << in.rdbuf();
    text = content.str();
    if (const std::string mark = "\xef\xbb\xbf";
        text.starts_with(mark)) // editors of Windows write it
        text.erase(0, mark.size());
    return "";
}

} // namespace

Properties::Properties(const std::filesystem::path& file,
                       const std::vector<std::string>& definitions, std::vector<Problem>& problems)
    : _problems(problems), _values(new Poco::Util::LayeredConfiguration)
{
    const Poco::AutoPtr<Poco::Util::SystemConfiguration> host(
        new Poco::Util::SystemConfiguration); // ${system.env.HOME}
    const Poco::AutoPtr<Poco::Util::MapConfiguration> defined(new Poco::Util::MapConfiguration);
    _values->add(host, systemPriority);
    _values->addWriteable(defined, definedPriority);
    if (!file.empty())
        readFile(file);
    for (const auto& definition : definitions)
        define(definition);
}

std::optional<std::string> Properties::said(const std::string& key) const
{
    if (!_places.contains(key))
        return std::nullopt;
    try
    {
        return Poco::trim(_values->getString(key));
    }
    catch (const Poco::Exception& error) // a ${…} that leads back to itself
    {
        complain(key, error.displayText());
        return std::nullopt;
    }
}

std::vector<std::string> Properties::keys() const
{
    std::vector<std::string> all;
    for (const auto& [key, place] : _places)
        all.push_back(key);
    return all;
}

bool Properties::isOfTheFile(const std::string& key) const
{
    const auto place = _places.find(key);
    return place != _places.end() && place->second.file != commandLine;
}

Problem Properties::problem(const std::string& key, const std::string& message) const
{
    const auto found = _places.find(key);
    const Place place = found == _places.end() ? Place{} : found->second;
    return {.file = place.file, .line = place.line, .key = key, .message = message};
}

void Properties::complain(const std::string& key, const std::string& message) const
{
    _problems.push_back(problem(key, message));
}

void Properties::readFile(const std::filesystem::path& file)
{
    std::string text;
    if (const auto why = readAll(file, text); !why.empty())
    {
        _problems.push_back({.file = file.string(), .line = 0, .key = {}, .message = why});
        return;
    }
    std::istringstream in(text);
    const Poco::AutoPtr<Poco::Util::PropertyFileConfiguration> values(
        new Poco::Util::PropertyFileConfiguration(in));
    _values->add(values);
    findKeys(text, file.string());
}

/// Poco keeps no lines. By its rules: `#` and `!` begin a comment, `=` or `:` ends a key, and a backslash
/// at the end of a value leads to the next line.
void Properties::findKeys(const std::string& text, const std::string& file)
{
    std::istringstream lines(text);
    std::string line;
    bool goesOn = false;
    for (int number = 1; std::getline(lines, line); ++number)
    {
        if (line.ends_with('\r'))
            line.pop_back();
        if (!std::exchange(goesOn, false))
        {
            const std::string whole = Poco::trim(line);
            if (whole.empty() || whole[0] == '#' || whole[0] == '!')
                continue;
            const auto end = whole.find_first_of("=:");
            if (end == std::string::npos)
            {
                _problems.push_back({.file = file,
                                     .line = number,
                                     .key = {},
                                     .message = "expected key = value, found '" + whole + "'"});
                continue;
            }
            const std::string key = Poco::trim(whole.substr(0, end));
            if (const auto [first, isNew] =
                    _places.try_emplace(key, Place{.file = file, .line = number});
                !isNew)
                _problems.push_back({.file = file,
                                     .line = number,
                                     .key = key,
                                     .message = "is set in line " +
                                                std::to_string(first->second.line) +
                                                " too: remove one of the two"});
        }
        const auto last = line.find_last_not_of('\\');
        goesOn = (line.size() - (last == std::string::npos ? 0 : last + 1)) % 2 == 1;
    }
}

void Properties::define(const std::string& definition)
{
    const auto equals = definition.find('=');
    const std::string key = Poco::trim(definition.substr(0, equals));
    if (equals == std::string::npos || key.empty())
    {
        _problems.push_back({.file = commandLine,
                             .line = 0,
                             .key = {},
                             .message = "expected key=value, found '" + definition + "'"});
        return;
    }
    _values->setString(key, definition.substr(equals + 1));
    _places[key] = {.file = commandLine, .line = 0};
}

} // namespace agent
