#include "tests/support/SourceRules.h"
#include "tests/support/ClassSizes.h"

#include <Poco/RegularExpression.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace agent
{

using Poco::RegularExpression;

namespace
{

constexpr int mostLines = 450;

/// So many functions a class may have, public and private.
constexpr int mostFunctions = 25;

/// Who may include whom, besides itself. The top, `agent`, is the program: it may include all. `Config` is
/// agent/Config.h.
const std::map<std::string, std::vector<std::string>> mayInclude{
    {"model", {}},
    {"os", {}},
    {"program", {"os"}},
    {"wire", {"model", "os"}},
    {"reports", {"model"}},
    {"process", {"model", "os", "wire"}},
    {"store", {"model", "os", "wire"}},
    {"document", {"model", "os"}},
    {"tls", {"os"}},
    {"plugin", {"model", "os", "document"}},
    {"cache", {"model", "os", "program", "wire"}},
    {"run", {"model", "os", "program", "wire", "process", "store", "document", "plugin"}},
    {"outbox", {"model", "os", "store", "document"}},
    {"intake", {"model", "os", "program", "store", "plugin", "run"}},
    {"api",
     {"model", "os", "wire", "store", "document", "plugin", "run", "outbox", "intake", "tls"}},
    {"shim", {"model", "os", "wire"}},
    {"collect", {"model", "os", "wire", "reports"}},
    {"exec", {"model", "os", "wire", "process", "plugin", "run", "ctl"}},
    {"doctor",
     {"model", "os", "program", "wire", "process", "store", "document", "plugin", "run", "outbox",
      "tls", "Config"}},
    {"ctl", {"model", "os", "program"}}};

constexpr const char* pluginContract = "agent/plugin/StagePlugin.h";

/// `run` of agent/run/Queue.h; empty for what stands in agent/ itself.
std::string folderOf(const std::string& path)
{
    const auto first = path.find('/');
    const auto second = path.find('/', first + 1);
    return second == std::string::npos ? "" : path.substr(first + 1, second - first - 1);
}

bool isIn(const Source& source, std::initializer_list<const char*> folders)
{
    return std::any_of(folders.begin(), folders.end(),
                       [&](const char* folder)
                       { return source.path.starts_with(std::string(folder) + "/"); });
}

/// Calls `check` with each line and gathers what it says.
template <typename Check>
rules::Problems eachLine(const Source& source, const std::string& text, Check check)
{
    rules::Problems problems;
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number)
        if (const std::string problem = check(line); !problem.empty())
            problems.push_back(source.path + ":" + std::to_string(number) + ": " + problem);
    return problems;
}

rules::Problems eachMatch(const Source& source, const std::string& text,
                          const RegularExpression& wrong, const std::string& saying)
{
    return eachLine(source, text,
                    [&](const std::string& line) -> std::string
                    {
                        std::string found;
                        wrong.extract(line, found);
                        return found.empty() ? "" : saying + ": " + found;
                    });
}

std::string includeProblem(const Source& source, const std::string& included, bool quoted)
{
    const bool ofAgent = included.starts_with("agent/");
    if (source.path.starts_with("plugins/"))
    {
        const std::string own = source.path.substr(0, source.path.rfind('/') + 1);
        const bool right =
            ofAgent ? included == pluginContract : !quoted || included.starts_with(own);
        return right ? ""
                     : "a plugin may include its own folder and " + std::string(pluginContract);
    }
    if (!ofAgent)
        return quoted ? "is not named from the repository's root" : "";
    const std::string from = folderOf(source.path);
    const std::string to = included == "agent/Config.h" ? "Config" : folderOf(included);
    if (from.empty() || from == to)
        return "";
    const auto allowed = mayInclude.find(from);
    if (allowed == mayInclude.end())
        return "no rule knows the folder " + from;
    if (std::count(allowed->second.begin(), allowed->second.end(), to) == 0)
        return from + "/ may not include " + (to.empty() ? "the program" : to + "/");
    return "";
}

/// Walks through a text, one literal or comment at a time.
class Scanner
{
public:
    explicit Scanner(const std::string& text) : _text(text) {}

    SourceParts parts()
    {
        while (_at < _text.size())
        {
            if (starts("//"))
                skipTo("\n", false);
            else if (starts("/*"))
                skipTo("*/", true);
            else if (starts("R\"") && !insideWord())
                rawLiteral();
            else if (_text[_at] == '"' || (_text[_at] == '\'' && !insideWord()))
                literal(_text[_at]);
            else
                code(_text[_at++]);
        }
        return std::move(_parts);
    }

private:
    [[nodiscard]] bool starts(const char* what) const
    {
        return _text.compare(_at, std::char_traits<char>::length(what), what) == 0;
    }

    /// 1'000 is no character literal, and FOUR"x" no raw one.
    [[nodiscard]] bool insideWord() const
    {
        return _at > 0 && (std::isalnum(static_cast<unsigned char>(_text[_at - 1])) != 0 ||
                           _text[_at - 1] == '_');
    }

    void code(char c)
    {
        _parts.code += c;
        if (c == '\n')
            _parts.literals += c;
    }

    void inside(char c)
    {
        _parts.literals += c;
        if (c == '\n')
            _parts.code += c;
    }

    /// To `end` or the end of the text; line ends stay.
    void skipTo(const std::string& end, bool also)
    {
        auto to = std::min(_text.find(end, _at + 2), _text.size());
        if (also)
            to = std::min(to + end.size(), _text.size());
        for (; _at < to; ++_at)
            if (_text[_at] == '\n')
                code('\n');
    }

    void literal(char quote)
    {
        _parts.code += quote;
        for (++_at; _at < _text.size() && _text[_at] != quote && _text[_at] != '\n'; ++_at)
        {
            if (_text[_at] == '\\' && _at + 1 < _text.size())
                inside(_text[_at++]);
            inside(_text[_at]);
        }
        if (_at < _text.size() && _text[_at] == quote)
            ++_at;
        _parts.code += quote;
        _parts.literals += ' ';
    }

    void rawLiteral()
    {
        const auto open = _text.find('(', _at);
        if (open == std::string::npos)
            return code(_text[_at++]);
        const std::string close = ")" + _text.substr(_at + 2, open - _at - 2) + "\"";
        const auto end = std::min(_text.find(close, open), _text.size());
        _parts.code += "\"\"";
        for (_at = open + 1; _at < end; ++_at)
            inside(_text[_at]);
        _at = std::min(end + close.size(), _text.size());
        _parts.literals += ' ';
    }

    const std::string& _text;
    std::size_t _at = 0;
    SourceParts _parts;
};

} // namespace

SourceParts takeApart(const std::string& text)
{
    return Scanner(text).parts();
}

namespace rules
{

Problems includes(const Source& source)
{
    static const RegularExpression include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
    return eachLine(source, source.text,
                    [&](const std::string& line) -> std::string
                    {
                        std::vector<std::string> parts;
                        if (include.split(line, parts) == 0)
                            return "";
                        const std::string& included = parts[2];
                        const auto problem = includeProblem(source, included, parts[1] == "\"");
                        return problem.empty() ? "" : included + ": " + problem;
                    });
}

Problems processes(const Source& source)
{
    // A call of the system's, not one of a member or of another class: kill(, ::kill(, no x.kill(.
    static const std::string free = R"((?:^|[^\w:.>~])(?:std::|::)?)";
    static const RegularExpression shell(free + R"((?:system|popen)\s*\()");
    static const RegularExpression own(
        free + R"((?:v?fork|clone3?|t?g?kill|killpg|pidfd_send_signal|sigqueue|wait[34])"
               R"(|waitpid|waitid|posix_spawnp?|execv\w*|execl\w*|fexecve)\s*\()"
               R"(|\bSYS_(?:v?fork|clone3?|t?g?kill|pidfd_send_signal|waitid|execve)\b)"
               R"(|\bProcess::(?:launch|kill|wait|requestTermination)\b)");
    const std::string code = takeApart(source.text).code;
    Problems problems = eachMatch(source, code, shell, "asks a shell");
    if (isIn(source, {"agent/os", "agent/process", "agent/program", "agent/shim", "plugins"}))
        return problems;
    for (auto& problem :
         eachMatch(source, code, own, "is for os/, process/, program/ and shim/ only"))
        problems.push_back(std::move(problem));
    return problems;
}

Problems sql(const Source& source)
{
    static const RegularExpression words(
        R"(\b(?:SELECT|INSERT (?:OR|INTO)|UPDATE|DELETE FROM|PRAGMA)\b)"
        R"(|\b(?:select\s.*\sfrom|insert into|delete from|pragma)\s)"
        R"(|\bupdate\s+\w+\s+set\s)");
    if (isIn(source, {"agent/store"}))
        return {};
    return eachMatch(source, takeApart(source.text).literals, words, "SQL is for store/ only");
}

Problems configuration(const Source& source)
{
    static const RegularExpression read(
        R"(\bget(?:Raw)?String\s*\(|\bget(?:U?Int(?:16|32|64)?|Double|Bool)\s*\()");
    if (source.path == "agent/Config.cpp" || source.path == "agent/document/Properties.cpp")
        return {};
    return eachMatch(source, takeApart(source.text).code, read,
                     "the configuration is for Config.cpp and its source only");
}

Problems length(const Source& source)
{
    const auto lines = std::count(source.text.begin(), source.text.end(), '\n');
    if (lines <= mostLines)
        return {};
    return {source.path + ": has " + std::to_string(lines) + " lines, " +
            std::to_string(mostLines) + " are the most"};
}

Problems classSize(const Source& source)
{
    Problems problems;
    for (const auto& [name, functions, line] : classSizes(takeApart(source.text).code))
    {
        if (functions > mostFunctions)
            problems.push_back(source.path + ":" + std::to_string(line) + ": " + name + " has " +
                               std::to_string(functions) + " functions, " +
                               std::to_string(mostFunctions) + " are the most");
    }
    return problems;
}

Problems layoutTable(const Source& contributing)
{
    std::map<std::string, std::string> rows;
    static const RegularExpression row(R"(^\| `agent/(\w+)` \|[^|]*\| ([^|]*) \|$)");
    Problems problems = eachLine(contributing, contributing.text,
                                 [&](const std::string& line) -> std::string
                                 {
                                     std::vector<std::string> parts;
                                     if (row.split(line, parts) == 3)
                                         rows[parts[1]] = parts[2];
                                     return "";
                                 });
    for (const auto& [folder, allowed] : mayInclude)
    {
        std::string expected;
        for (const auto& name : allowed)
            expected += (expected.empty() ? "" : ", ") + name;
        if (expected.empty())
            expected = "nothing of ours";
        if (rows[folder] != expected)
            problems.push_back(contributing.path + ": agent/" + folder + " may include " +
                               expected);
        rows.erase(folder);
    }
    for (const auto& [folder, cell] : rows)
        problems.push_back(contributing.path + ": no rule knows the folder " + folder);
    return problems;
}

Problems leftForLater(const Source& source)
{
    static const RegularExpression words(R"(\b(?:TODO|FIXME|XXX|HACK)\b)");
    return eachMatch(source, source.text, words, "is left for later");
}

} // namespace rules

} // namespace agent
