#include "agent/document/DocumentBuilder.h"
#include "agent/document/DocumentText.h"

#include <cctype>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace agent
{

namespace
{

using Kind = DocumentNode::Kind;

struct NumberOnly: rapidjson::BaseReaderHandler<rapidjson::UTF8<>, NumberOnly>
{
    static bool Default() { return false; }
    static bool RawNumber(const char*, rapidjson::SizeType, bool) { return true; }
};

/// On which line the reader of a text is.
class Lines
{
public:
    Lines(const std::string& text, const rapidjson::StringStream& stream)
        : _text(text), _stream(stream)
    {
    }

    int current()
    {
        for (; _counted < _stream.Tell(); ++_counted)
            if (_text[_counted] == '\n')
                ++_line;
        return _line;
    }

private:
    const std::string& _text;
    const rapidjson::StringStream& _stream;
    std::size_t _counted = 0;
    int _line = 1;
};

/// The events of a reader, which gives numbers as text, or those of a value that was read before.
class JsonEvents: public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonEvents>
{
public:
    JsonEvents(DocumentBuilder& tree, Lines* lines) : _tree(tree), _lines(lines) {}

    bool Null() { return scalar(Kind::Null, ""); }
    bool Bool(bool value) { return scalar(Kind::Boolean, value ? "true" : "false"); }
    bool RawNumber(const char* text, rapidjson::SizeType size, bool)
    {
        return scalar(Kind::Number, {text, size});
    }
    bool Int(int value) { return number(value); }
    bool Uint(unsigned value) { return number(value); }
    bool Int64(std::int64_t value) { return number(value); }
    bool Uint64(std::uint64_t value) { return number(value); }
    bool Double(double value) { return number(value); }
    bool String(const char* text, rapidjson::SizeType size, bool)
    {
        return scalar(Kind::String, {text, size});
    }
    bool Key(const char* text, rapidjson::SizeType size, bool) { return String(text, size, true); }
    bool StartObject() { return begin(Kind::Map); }
    bool StartArray() { return begin(Kind::List); }
    bool EndObject(rapidjson::SizeType) { return end(); }
    bool EndArray(rapidjson::SizeType) { return end(); }

    /// Of all scalars and keys so far.
    [[nodiscard]] std::size_t bytes() const { return _bytes; }

private:
    bool scalar(Kind kind, const std::string& text)
    {
        _bytes += text.size();
        _tree.scalar(kind, text, place());
        return true;
    }

    template <typename Number> bool number(Number value)
    {
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        rapidjson::Value(value).Accept(writer);
        return scalar(Kind::Number, {buffer.GetString(), buffer.GetSize()});
    }

    bool begin(Kind kind)
    {
        _tree.begin(kind, place());
        return true;
    }

    bool end()
    {
        _tree.end();
        return true;
    }

    Place place() { return {.line = _lines ? _lines->current() : 0}; }

    DocumentBuilder& _tree;
    Lines* _lines;
    std::size_t _bytes = 0;
};

void write(rapidjson::Writer<rapidjson::StringBuffer>& writer, const DocumentNode& node)
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

bool isJsonNumber(const std::string& text)
{
    if (text.empty() || (text[0] != '-' && std::isdigit(static_cast<unsigned char>(text[0])) == 0))
        return false;
    rapidjson::StringStream stream(text.c_str());
    NumberOnly number;
    rapidjson::Reader reader;
    return !reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, number).IsError();
}

std::optional<DocumentNode> parseJson(const std::string& text, const std::string& file,
                                      std::vector<Problem>& problems, const DocumentLimits& limits)
{
    if (!checkText(text, file, limits, problems))
        return std::nullopt;
    const auto refuse = [&](int line, const std::string& message)
    {
        problems.push_back({.file = file, .line = line, .key = {}, .message = message});
        return std::nullopt;
    };
    try
    {
        DocumentBuilder tree(file, problems, limits);
        rapidjson::StringStream stream(text.c_str());
        Lines lines(text, stream);
        JsonEvents events(tree, &lines);
        rapidjson::Reader reader;
        // Iterative: a recursive reader of deep nesting would end the process, not the parse.
        const auto result =
            reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag>(
                stream, events);
        if (result.IsError())
            return refuse(lineAt(text, result.Offset()),
                          std::string("malformed JSON: ") +
                              rapidjson::GetParseError_En(result.Code()));
        return tree.root();
    }
    catch (const DocumentBuilder::LimitPassed& limit)
    {
        return refuse(limit.at.line, limit.message);
    }
}

std::optional<DocumentNode> documentOf(const rapidjson::Value& value,
                                       std::vector<Problem>& problems, const DocumentLimits& limits)
{
    const std::string noFile;
    std::string refused;
    try
    {
        DocumentBuilder tree(noFile, problems, limits);
        JsonEvents events(tree, nullptr);
        value.Accept(events);
        if (events.bytes() <= limits.bytes)
            return tree.root();
        refused = "longer than " + std::to_string(limits.bytes) + " bytes";
    }
    catch (const DocumentBuilder::LimitPassed& limit)
    {
        refused = limit.message;
    }
    problems.push_back({.file = {}, .line = 0, .key = {}, .message = refused});
    return std::nullopt;
}

std::string jsonOf(const DocumentNode& node)
{
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    write(writer, node);
    return {buffer.GetString(), buffer.GetSize()};
}

} // namespace agent
