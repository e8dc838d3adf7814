#include "agent/model/Masker.h"

#include "agent/model/Disguises.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::string_view mask = "***";

/// Bounds the list of covers, whatever the size of what is fed.
constexpr std::size_t sliceSize = 65536;

/// What no pattern is shorter than.
constexpr std::size_t beginning = shortestSecret;

/// Hashes four bytes to 14 bits: a table of so many bytes stays in the nearest cache.
std::size_t beginningAt(const char* bytes)
{
    static_assert(beginning == sizeof(std::uint32_t));
    std::uint32_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    return value * 0x9E3779B1U >> 18U;
}

} // namespace

Masker::Masker(const std::vector<std::string>& secrets)
{
    for (const std::string& secret : secrets)
        insert(secret);
}

void Masker::add(std::string_view secret)
{
    insert(secret);
}

void Masker::insert(std::string_view secret)
{
    if (secret.size() < shortestSecret)
        throw std::invalid_argument("a secret of fewer than 4 bytes can't be masked");
    _compiled = false;
    for (const std::string& form : disguises(secret))
    {
        NodeId node = root;
        for (const char c : form)
        {
            const auto byte = static_cast<std::uint8_t>(c);
            NodeId child = childOf(node, byte);
            if (child == none)
            {
                child = static_cast<NodeId>(_nodes.size());
                _nodes.push_back({.nextSibling = _nodes[node].firstChild,
                                  .depth = _nodes[node].depth + 1,
                                  .byte = byte});
                _nodes[node].firstChild = child;
            }
            node = child;
        }
        _nodes[node].matched = _nodes[node].depth;
        _beginnings[beginningAt(form.data())] = 1;
    }
}

void Masker::compile()
{
    _compiled = true;
    _rows.clear();
    std::vector<NodeId> order = {root};
    for (std::size_t next = 0; next < order.size(); ++next)
    {
        const NodeId id = order[next];
        Node& node = _nodes[id];
        // Node ids stay valid when a secret is added in the middle of a stream: so does _state.
        if (node.matched != node.depth)
            node.matched = _nodes[node.fail].matched;
        node.live = node.firstChild != none ? node.depth : _nodes[node.fail].live;
        node.row = noRow;
        if (node.depth <= 1)
            compileRow(id);
        for (NodeId child = node.firstChild; child != none; child = _nodes[child].nextSibling)
        {
            _nodes[child].fail = id == root ? root : step(node.fail, _nodes[child].byte);
            order.push_back(child);
        }
    }
}

void Masker::compileRow(NodeId id)
{
    // The failure link of the root's child is the root, whose row is there already.
    std::array<NodeId, 256> row = {};
    if (id != root)
        row = _rows[_nodes[root].row];
    for (NodeId child = _nodes[id].firstChild; child != none; child = _nodes[child].nextSibling)
        row[_nodes[child].byte] = child;
    _nodes[id].row = static_cast<std::uint32_t>(_rows.size());
    _rows.push_back(row);
}

Masker::NodeId Masker::childOf(NodeId node, std::uint8_t byte) const
{
    NodeId child = _nodes[node].firstChild;
    while (child != none && _nodes[child].byte != byte)
        child = _nodes[child].nextSibling;
    return child;
}

Masker::NodeId Masker::step(NodeId node, std::uint8_t byte) const
{
    while (_nodes[node].row == noRow)
    {
        if (const NodeId child = childOf(node, byte); child != none)
            return child;
        node = _nodes[node].fail;
    }
    return _rows[_nodes[node].row][byte];
}

/// Where the next pattern may begin, from `at` on; where too few bytes are left to tell, if there is none.
std::size_t Masker::nextBeginning(std::string_view in, std::size_t at) const
{
    constexpr std::size_t stride = 8;
    const char* const bytes = in.data();
    while (at + stride + beginning <= in.size())
    {
        unsigned found = 0;
#pragma GCC unroll 8
        for (std::size_t i = 0; i < stride; ++i)
            found |= _beginnings[beginningAt(bytes + at + i)];
        if (found != 0)
            break;
        at += stride;
    }
    while (at + beginning <= in.size() && _beginnings[beginningAt(bytes + at)] == 0)
        ++at;
    return at;
}

Masker::NodeId Masker::walk(NodeId node, std::string_view in, std::size_t& at, std::size_t end)
{
    while (at < end)
    {
        node = step(node, static_cast<std::uint8_t>(in[at++]));
        if (const std::uint32_t length = _nodes[node].matched; length > 0)
            cover(_at + at - length, _at + at);
    }
    return node;
}

void Masker::scan(std::string_view in)
{
    NodeId node = _state;
    for (std::size_t at = 0; at < in.size();)
    {
        // No pattern begins before those of the last bytes that the automaton still counts on. When they
        // are fewer than the table is asked for, it is asked about them. Each time is at a later byte:
        // the walk in between is as long as what is asked for.
        const std::size_t counted = _nodes[node].depth;
        std::size_t end = at + 1;
        if (counted < beginning && counted <= at)
        {
            at = nextBeginning(in, at - counted);
            node = root;
            end = std::min(at + beginning, in.size());
        }
        node = walk(node, in, at, end);
    }
    _state = node;
    _at += in.size();
}

void Masker::cover(std::uint64_t begin, std::uint64_t end)
{
    while (!_covers.empty() && _covers.back().end >= begin)
    {
        begin = std::min(begin, _covers.back().begin);
        _covers.pop_back();
    }
    _covers.push_back({.begin = begin, .end = end});
}

void Masker::feed(std::string_view in, std::string& out)
{
    if (_nodes.size() == 1)
    {
        out.append(in);
        return;
    }
    if (!_compiled)
        compile();
    while (!in.empty())
    {
        const std::string_view slice = in.substr(0, sliceSize);
        scan(slice);
        release(_at - _nodes[_state].live, slice, out);
        in.remove_prefix(slice.size());
    }
}

void Masker::flush(std::string& out)
{
    release(_at, {}, out);
    _state = root;
    _maskedTo = 0;
}

/// Appends all before `limit`, where the earliest occurrence that is not yet complete begins; and the run
/// of covered bytes that lies there or goes on from the last one: those can't begin earlier any more.
void Masker::release(std::uint64_t limit, std::string_view in, std::string& out)
{
    const std::uint64_t before = _decided;
    std::size_t done = 0;
    for (; done < _covers.size() && _covers[done].begin <= std::max(limit, _maskedTo); ++done)
    {
        const Cover& run = _covers[done];
        copy(run.begin, in, out);
        if (run.begin > _maskedTo)
            out.append(mask);
        _maskedTo = run.end;
        _decided = std::max(_decided, run.end);
    }
    _covers.erase(_covers.begin(), _covers.begin() + static_cast<std::ptrdiff_t>(done));
    copy(limit, in, out);

    _held.erase(0, static_cast<std::size_t>(_decided - before));
    const auto rest = static_cast<std::size_t>(_at - _decided) - _held.size();
    _held.append(in.substr(in.size() - rest));
}

/// Appends the bytes from _decided to `end` as they are; before `in` come those that are held.
void Masker::copy(std::uint64_t end, std::string_view in, std::string& out)
{
    if (end <= _decided)
        return;
    const std::uint64_t inBegin = _at - in.size();
    const std::uint64_t heldEnd = std::min(end, inBegin);
    if (_decided < heldEnd)
    {
        const auto back = static_cast<std::size_t>(inBegin - _decided);
        out.append(_held, _held.size() - back, static_cast<std::size_t>(heldEnd - _decided));
        _decided = heldEnd;
    }
    if (_decided == end)
        return;
    out.append(in.substr(static_cast<std::size_t>(_decided - inBegin),
                         static_cast<std::size_t>(end - _decided)));
    _decided = end;
}

} // namespace agent
