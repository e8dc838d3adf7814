#include "agent/document/DocumentBuilder.h"

#include <algorithm>

namespace agent
{

namespace
{

// A key stands in messages and in key paths: longer ones are never meant.
constexpr std::size_t maxKeyBytes = 256;

const std::string mergeKey = "<<";

bool isControl(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Line breaks and tabs are what commands of several lines are made of; nothing else is let in.
bool hasHiddenCharacter(const std::string& text)
{
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return isControl(c) && c != '\n' && c != '\t' && c != '\r'; });
}

struct Size
{
    std::size_t nodes = 1;
    std::size_t bytes = 0;
    std::size_t height = 0; ///< lists and maps above each other
};

Size sizeOf(const DocumentNode& node)
{
    Size size{.bytes = node.text.size() + node.key.size()};
    for (const auto& item : node.items)
    {
        const Size inner = sizeOf(item);
        size.nodes += inner.nodes;
        size.bytes += inner.bytes;
        size.height = std::max(size.height, inner.height);
    }
    if (node.kind == DocumentNode::Kind::List || node.kind == DocumentNode::Kind::Map)
        ++size.height;
    return size;
}

} // namespace

void DocumentBuilder::begin(DocumentNode::Kind kind, Place at, std::size_t anchor)
{
    charge(1, 0, at);
    if (_open.size() >= _limits.depth)
        throw LimitPassed{at, "nested deeper than " + std::to_string(_limits.depth)};
    _open.push_back({.node = {.kind = kind,
                              .key = {},
                              .line = at.line,
                              .column = at.column,
                              .text = {},
                              .items = {}},
                     .anchor = anchor});
}

void DocumentBuilder::end()
{
    Open done = std::move(_open.back());
    _open.pop_back();
    merge(done);
    add(std::move(done.node), done.anchor);
}

void DocumentBuilder::scalar(DocumentNode::Kind kind, const std::string& text, Place at,
                             std::size_t anchor)
{
    charge(1, text.size(), at);
    DocumentNode node{
        .kind = kind, .key = {}, .line = at.line, .column = at.column, .text = text, .items = {}};
    if (hasHiddenCharacter(text))
    {
        problem(at, "holds a control character");
        node.text.clear();
    }
    add(std::move(node), anchor);
}

void DocumentBuilder::alias(std::size_t anchor, Place at)
{
    const auto found = _anchored.find(anchor);
    if (found == _anchored.end())
        throw LimitPassed{at, "an alias inside what it stands for never ends"};
    const Size size = sizeOf(found->second);
    charge(size.nodes, size.bytes, at);
    if (_open.size() + size.height > _limits.depth)
        throw LimitPassed{at, "nested deeper than " + std::to_string(_limits.depth)};
    add(found->second, 0);
}

void DocumentBuilder::add(DocumentNode node, std::size_t anchor)
{
    if (anchor != 0)
        _anchored[anchor] = node;
    if (_open.empty())
    {
        _root = std::move(node);
        return;
    }
    Open& parent = _open.back();
    if (parent.node.kind == DocumentNode::Kind::Map)
    {
        if (!parent.keyRead)
        {
            addKey(parent, node);
            return;
        }
        parent.keyRead = false;
        if (parent.dropValue)
            return;
        if (_mergeKeys && parent.key == mergeKey)
            return takeMerged(parent, std::move(node));
        node.key = parent.key;
        node.line = parent.keyAt.line;
        node.column = parent.keyAt.column;
    }
    parent.node.items.push_back(std::move(node));
}

/// Source: https://yaml.org/type/merge.html
void DocumentBuilder::takeMerged(Open& map, DocumentNode node) const
{
    using Kind = DocumentNode::Kind;
    const bool isList = node.kind == Kind::List;
    std::vector<DocumentNode> maps;
    if (isList)
        maps = std::move(node.items);
    else
        maps.push_back(std::move(node));
    for (DocumentNode& each : maps)
        if (each.kind == Kind::Map)
            map.merged.push_back(std::move(each));
        else
            problem(map.keyAt, "a merge key (<<) takes a map, or a list of maps");
}

/// After the map's own members, whichever come first in the file.
void DocumentBuilder::merge(Open& map)
{
    for (DocumentNode& other : map.merged)
        for (DocumentNode& item : other.items)
            if (map.keys.insert(item.key).second)
                map.node.items.push_back(std::move(item));
}

void DocumentBuilder::addKey(Open& map, const DocumentNode& node)
{
    const Place at{node.line, node.column};
    const bool plain = node.kind == DocumentNode::Kind::String ||
                       node.kind == DocumentNode::Kind::Number ||
                       node.kind == DocumentNode::Kind::Boolean;
    const bool wrong = !plain || node.text.empty() || node.text.size() > maxKeyBytes ||
                       std::any_of(node.text.begin(), node.text.end(), isControl);
    if (wrong)
        problem(at, "a key must be text of 1 to " + std::to_string(maxKeyBytes) +
                        " bytes without control characters");
    map.key = wrong ? "?" : node.text;
    map.keyAt = at;
    map.keyRead = true;
    map.dropValue = wrong;
    if (!wrong && !map.keys.insert(node.text).second)
    {
        problem(at, "this key is here twice");
        map.dropValue = true;
    }
}

void DocumentBuilder::charge(std::size_t nodes, std::size_t bytes, Place at)
{
    _nodes += nodes;
    _bytes += bytes;
    if (_nodes > _limits.nodes)
        throw LimitPassed{at, "more than " + std::to_string(_limits.nodes) + " values"};
    if (_bytes > 4 * _limits.bytes)
        throw LimitPassed{at, "more than " + std::to_string(4 * _limits.bytes) +
                                  " bytes of text with its aliases expanded"};
}

void DocumentBuilder::problem(Place at, const std::string& message) const
{
    _problems.push_back(
        {.file = _file, .line = at.line, .column = at.column, .key = path(), .message = message});
}

std::string DocumentBuilder::path() const
{
    std::string text;
    for (const Open& open : _open)
        if (open.node.kind == DocumentNode::Kind::List)
            text += '[' + std::to_string(open.node.items.size()) + ']';
        else if (open.keyRead)
            text += (text.empty() ? "" : ".") + open.key;
    return text;
}

} // namespace agent
