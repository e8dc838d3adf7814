#include "agent/document/DocumentValue.h"

#include "agent/model/Suggestion.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace agent
{

namespace
{

using Kind = DocumentNode::Kind;

constexpr std::size_t shownBytes = 40; // enough to recognise a value by

bool isScalar(Kind kind)
{
    return kind == Kind::String || kind == Kind::Number || kind == Kind::Boolean;
}

std::string joined(const std::string& path, std::string_view key)
{
    return path.empty() ? std::string(key) : path + '.' + std::string(key);
}

std::string found(const DocumentNode& node)
{
    switch (node.kind)
    {
    case Kind::Null:
        return "nothing";
    case Kind::String:
        return "the text " + inQuotes(node.text);
    case Kind::Number:
        return "the number " + node.text.substr(0, shownBytes);
    case Kind::Boolean:
        return node.text;
    case Kind::List:
        return "a list";
    case Kind::Map:
        return "a map";
    }
    return "";
}

} // namespace

std::string inQuotes(std::string_view text)
{
    std::string shown(text.substr(0, shownBytes));
    if (text.size() > shownBytes)
    {
        while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0xc0) == 0x80)
            shown.pop_back(); // never half a character
        if (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0x80) != 0)
            shown.pop_back();
        shown += "...";
    }
    for (char& c : shown)
        if (std::iscntrl(static_cast<unsigned char>(c)) != 0)
            c = ' ';
    return "'" + shown + "'";
}

void DocumentValue::problem(const std::string& message) const
{
    _problems->push_back({.file = *_file,
                          .line = _node->line,
                          .column = _node->column,
                          .key = _path,
                          .message = message});
}

void DocumentValue::expected(std::string_view what, const std::string& hint) const
{
    problem("expected " + std::string(what) + ", found " + found(*_node) + hint);
}

std::optional<std::string> DocumentValue::text() const
{
    if (isScalar(_node->kind))
        return _node->text;
    expected("text");
    return std::nullopt;
}

std::optional<std::string> DocumentValue::word() const
{
    auto result = text();
    if (result && result->empty())
    {
        problem("must not be empty");
        return std::nullopt;
    }
    return result;
}

std::optional<bool> DocumentValue::boolean() const
{
    if (_node->kind == Kind::Boolean)
        return _node->text == "true";
    expected("true or false");
    return std::nullopt;
}

std::optional<std::int64_t> DocumentValue::integer(std::int64_t least, std::int64_t most) const
{
    const char* const end = _node->text.data() + _node->text.size();
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(_node->text.data(), end, value);
    if (_node->kind == Kind::Number && rest == end && error == std::errc{} && value >= least &&
        value <= most)
        return value;
    expected("a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
}

std::vector<DocumentValue> DocumentValue::list() const
{
    std::vector<DocumentValue> result;
    if (_node->kind != Kind::List)
        expected("a list");
    else
        for (const auto& item : _node->items)
            result.push_back(child(item, _path + '[' + std::to_string(result.size()) + ']'));
    return result;
}

std::vector<DocumentValue> DocumentValue::members() const
{
    std::vector<DocumentValue> result;
    if (_node->kind != Kind::Map)
        expected("a map");
    else
        for (const auto& item : _node->items)
            result.push_back(child(item, joined(_path, item.key)));
    return result;
}

std::vector<std::string> DocumentValue::words() const
{
    std::vector<std::string> result;
    for (const DocumentValue& item : list())
        if (auto word = item.word())
            result.push_back(std::move(*word));
    return result;
}

std::optional<Setting> DocumentValue::setting() const
{
    switch (_node->kind)
    {
    case Kind::Null:
        expected("a value ('' is an empty text)");
        return std::nullopt;
    case Kind::String:
        return Setting{Setting::Kind::String, _node->text};
    case Kind::Number:
        return Setting{Setting::Kind::Number, _node->text};
    case Kind::Boolean:
        return Setting{Setting::Kind::Boolean, _node->text};
    case Kind::List:
        return Setting{Setting::Kind::List, jsonOf(*_node)};
    case Kind::Map:
        return Setting{Setting::Kind::Map, jsonOf(*_node)};
    }
    return std::nullopt;
}

DocumentMap::DocumentMap(DocumentValue value, const std::vector<std::string_view>& known,
                         Others others)
    : _value(std::move(value))
{
    for (const DocumentValue& member : _value.members())
        if (std::find(known.begin(), known.end(), member.key()) == known.end() &&
            !(others == Others::Prefixed && member.key().starts_with("x-")))
            member.problem("unknown key" + suggestion(member.key(), known));
}

std::optional<DocumentValue> DocumentMap::find(std::string_view key) const
{
    if (_value.node().kind == Kind::Map)
        for (const auto& item : _value.node().items)
            if (item.key == key)
                return _value.child(item, joined(_value.path(), key));
    return std::nullopt;
}

std::optional<DocumentValue> DocumentMap::require(std::string_view key) const
{
    auto result = find(key);
    if (!result && _value.node().kind == Kind::Map)
        _value.child(_value.node(), joined(_value.path(), key)).problem("is missing");
    return result;
}

} // namespace agent
