#include "agent/plugin/YamlFile.h"

#include "agent/plugin/YamlTree.h"

#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sstream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace agent
{

namespace
{

using Kind = YamlNode::Kind;

struct NumberOnly: rapidjson::BaseReaderHandler<rapidjson::UTF8<>, NumberOnly>
{
    static bool Default() { return false; }
    static bool RawNumber(const char*, rapidjson::SizeType, bool) { return true; }
};

/// What the JSON reader takes for a number, so that its text can stand in JSON as it is and be read
/// again: that leaves out 007 and 1e999.
bool isNumber(const std::string& text)
{
    if (text.empty() || (text[0] != '-' && std::isdigit(static_cast<unsigned char>(text[0])) == 0))
        return false;
    rapidjson::StringStream stream(text.c_str());
    NumberOnly number;
    rapidjson::Reader reader;
    return !reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, number).IsError();
}

class YamlEvents: public YAML::EventHandler
{
public:
    explicit YamlEvents(YamlTree& tree) : _tree(tree) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        _tree.scalar(Kind::Null, "", mark.line + 1, anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        _tree.alias(anchor, mark.line + 1);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        Kind kind = Kind::String;
        if (tag == "?") // yaml-cpp's word for a plain scalar; a quoted one has "!"
        {
            if (value == "true" || value == "false")
                kind = Kind::Boolean;
            else if (isNumber(value))
                kind = Kind::Number;
        }
        else if (tag != "!" && tag != "tag:yaml.org,2002:str")
            refuseTag(mark);
        _tree.scalar(kind, value, mark.line + 1, anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        begin(Kind::List, "tag:yaml.org,2002:seq", mark, tag, anchor);
    }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        begin(Kind::Map, "tag:yaml.org,2002:map", mark, tag, anchor);
    }

    void OnSequenceEnd() override { _tree.end(); }
    void OnMapEnd() override { _tree.end(); }

private:
    void begin(Kind kind, const char* own, const YAML::Mark& mark, const std::string& tag,
               YAML::anchor_t anchor)
    {
        if (!tag.empty() && tag != "?" && tag != "!" && tag != own)
            refuseTag(mark);
        _tree.begin(kind, mark.line + 1, anchor);
    }

    void refuseTag(const YAML::Mark& mark)
    {
        _tree.problem(mark.line + 1, "tags (`!name`) are not supported");
    }

    YamlTree& _tree;
};

class JsonEvents: public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonEvents>
{
public:
    JsonEvents(YamlTree& tree, const std::string& text, const rapidjson::StringStream& stream)
        : _tree(tree), _text(text), _stream(stream)
    {
    }

    bool Null() { return scalar(Kind::Null, ""); }
    bool Bool(bool value) { return scalar(Kind::Boolean, value ? "true" : "false"); }
    bool RawNumber(const char* text, rapidjson::SizeType size, bool)
    {
        return scalar(Kind::Number, {text, size});
    }
    bool String(const char* text, rapidjson::SizeType size, bool)
    {
        return scalar(Kind::String, {text, size});
    }
    bool Key(const char* text, rapidjson::SizeType size, bool) { return String(text, size, true); }
    bool StartObject() { return begin(Kind::Map); }
    bool StartArray() { return begin(Kind::List); }
    bool EndObject(rapidjson::SizeType) { return end(); }
    bool EndArray(rapidjson::SizeType) { return end(); }

private:
    bool scalar(Kind kind, const std::string& text)
    {
        _tree.scalar(kind, text, line());
        return true;
    }

    bool begin(Kind kind)
    {
        _tree.begin(kind, line());
        return true;
    }

    bool end()
    {
        _tree.end();
        return true;
    }

    int line()
    {
        for (; _counted < _stream.Tell(); ++_counted)
            if (_text[_counted] == '\n')
                ++_line;
        return _line;
    }

    YamlTree& _tree;
    const std::string& _text;
    const rapidjson::StringStream& _stream;
    std::size_t _counted = 0;
    int _line = 1;
};

int lineAt(const std::string& text, std::size_t offset)
{
    int line = 1;
    for (std::size_t i = 0; i < offset && i < text.size(); ++i)
        if (text[i] == '\n')
            ++line;
    return line;
}

struct Nowhere
{
    void Put(char) {}
};

/// Ends in zeros: RapidJSON's check takes up to three bytes more than a cut character has.
struct Bytes
{
    using Ch = char;
    const std::string& text;
    std::size_t pos = 0;

    char Take() { return pos < text.size() ? text[pos++] : '\0'; }
};

/// Nothing when all of `text` is UTF-8 without control characters; else what is wrong, and where.
std::optional<std::pair<std::size_t, std::string>> badBytes(const std::string& text)
{
    Bytes stream{text};
    Nowhere nowhere;
    while (stream.pos < text.size())
    {
        const std::size_t offset = stream.pos;
        const char c = text[offset];
        if ((c >= 0 && c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f)
            return std::pair{offset, std::string("holds a control character")};
        if (!rapidjson::UTF8<>::Validate(stream, nowhere))
            return std::pair{offset, std::string("is not UTF-8")};
    }
    return std::nullopt;
}

bool precheck(const std::string& text, const std::string& file, const YamlLimits& limits,
              std::vector<Problem>& problems)
{
    Problem problem{.file = file, .line = 0, .key = {}, .message = {}};
    if (text.size() > limits.bytes)
        problem.message = "longer than " + std::to_string(limits.bytes) + " bytes";
    else if (const auto bad = badBytes(text))
    {
        problem.line = lineAt(text, bad->first);
        problem.message = bad->second;
    }
    if (problem.message.empty())
        return true;
    problems.push_back(std::move(problem));
    return false;
}

void write(rapidjson::Writer<rapidjson::StringBuffer>& writer, const YamlNode& node)
{
    switch (node.kind)
    {
    case Kind::Null:
        writer.Null();
        break;
    case Kind::String:
        writer.String(node.text);
        break;
    case Kind::Number:
        writer.RawValue(node.text.data(), node.text.size(), rapidjson::kNumberType);
        break;
    case Kind::Boolean:
        writer.Bool(node.text == "true");
        break;
    case Kind::List:
        writer.StartArray();
        for (const auto& item : node.items)
            write(writer, item);
        writer.EndArray();
        break;
    case Kind::Map:
        writer.StartObject();
        for (const auto& item : node.items)
        {
            writer.Key(item.key.data(), static_cast<rapidjson::SizeType>(item.key.size()));
            write(writer, item);
        }
        writer.EndObject();
        break;
    }
}

} // namespace

std::optional<std::string> readText(const std::filesystem::path& path, std::size_t maxBytes,
                                    std::vector<Problem>& problems)
{
    const auto refuse = [&](const std::string& message)
    {
        problems.push_back({.file = path.string(), .line = 0, .key = {}, .message = message});
        return std::nullopt;
    };

    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return refuse(std::string("cannot be opened: ") + std::generic_category().message(errno));
    struct stat status
    {
    };
    std::string text;
    ssize_t got = ::fstat(file, &status);
    if (got == 0 && !S_ISREG(status.st_mode))
    {
        ::close(file);
        return refuse("is no regular file");
    }
    char chunk[16 * 1024];
    while (got >= 0 && text.size() <= maxBytes && (got = ::read(file, chunk, sizeof chunk)) != 0)
    {
        if (got > 0)
            text.append(chunk, static_cast<std::size_t>(got));
        else if (errno == EINTR)
            got = 0;
    }
    const int error = errno;
    ::close(file);
    if (got < 0)
        return refuse(std::string("cannot be read: ") + std::generic_category().message(error));
    if (text.size() > maxBytes)
        return refuse("longer than " + std::to_string(maxBytes) + " bytes");
    return text;
}

std::optional<YamlNode> parseYaml(const std::string& text, const std::string& file,
                                  std::vector<Problem>& problems, const YamlLimits& limits)
{
    if (!precheck(text, file, limits, problems))
        return std::nullopt;
    const auto refuse = [&](int line, const std::string& message)
    {
        problems.push_back({.file = file, .line = line, .key = {}, .message = message});
        return std::nullopt;
    };
    try
    {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        YamlTree tree(file, problems, limits);
        YamlEvents events(tree);
        if (!parser.HandleNextDocument(events))
            return refuse(0, "holds nothing");
        if (parser)
            return refuse(0, "holds more than one document");
        return tree.root();
    }
    catch (const YamlTree::LimitPassed& limit)
    {
        return refuse(limit.line, limit.message);
    }
    catch (const YAML::Exception& error)
    {
        return refuse(error.mark.is_null() ? 0 : error.mark.line + 1,
                      "malformed YAML: " + error.msg);
    }
    catch (const std::exception& error) // the parser's own containers may throw too
    {
        return refuse(0, std::string("malformed YAML: ") + error.what());
    }
}

std::optional<YamlNode> parseJson(const std::string& text, const std::string& file,
                                  std::vector<Problem>& problems, const YamlLimits& limits)
{
    if (!precheck(text, file, limits, problems))
        return std::nullopt;
    const auto refuse = [&](int line, const std::string& message)
    {
        problems.push_back({.file = file, .line = line, .key = {}, .message = message});
        return std::nullopt;
    };
    try
    {
        YamlTree tree(file, problems, limits);
        rapidjson::StringStream stream(text.c_str());
        JsonEvents events(tree, text, stream);
        rapidjson::Reader reader;
        // Iterative: a recursive reader of deep nesting would end the process, not the parse.
        const auto result =
            reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag |
                         rapidjson::kParseValidateEncodingFlag>(stream, events);
        if (result.IsError())
            return refuse(lineAt(text, result.Offset()),
                          std::string("malformed JSON: ") +
                              rapidjson::GetParseError_En(result.Code()));
        return tree.root();
    }
    catch (const YamlTree::LimitPassed& limit)
    {
        return refuse(limit.line, limit.message);
    }
}

std::string jsonOf(const YamlNode& node)
{
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    write(writer, node);
    return {buffer.GetString(), buffer.GetSize()};
}

} // namespace agent
