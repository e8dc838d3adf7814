#include "agent/model/PatternAutomaton.h"

#include <algorithm>
#include <iterator>

namespace agent
{

namespace
{

std::uint64_t branchKey(PatternAutomaton::NodeId node, std::uint8_t byte)
{
    return std::uint64_t{node} << 8U | byte;
}

} // namespace

std::size_t PatternAutomaton::add(std::string_view pattern)
{
    if (_linked)
        forgetLinks();
    NodeId node = root;
    std::size_t known = 0;
    while (known < pattern.size())
    {
        const NodeId child = childOf(node, static_cast<std::uint8_t>(pattern[known]));
        if (child == none)
            break;
        node = child;
        ++known;
    }
    if (known < pattern.size())
    {
        const auto first = static_cast<NodeId>(_nodes.size());
        const auto byte = static_cast<std::uint8_t>(pattern[known]);
        if (node != root && node + 1 == first)
            _nodes[node].flags |= HasNext; // goes on with the chain that was added last
        else
        {
            _chains.push_back({.first = first, .parent = node});
            branch(node, byte, first);
        }
        for (const char c : pattern.substr(known))
            _nodes.push_back({.byte = static_cast<std::uint8_t>(c), .flags = HasNext});
        node = static_cast<NodeId>(_nodes.size() - 1);
        _nodes[node].flags = 0;
    }
    _nodes[node].flags |= Ends;
    return known;
}

void PatternAutomaton::branch(NodeId node, std::uint8_t byte, NodeId child)
{
    if (node == root)
    {
        _first[byte] = child;
        return;
    }
    _nodes[node].flags |= Branches;
    _branches[branchKey(node, byte)] = child;
}

PatternAutomaton::NodeId PatternAutomaton::childOf(NodeId node, std::uint8_t byte) const
{
    if (node == root)
        return _first[byte];
    if (has(node, HasNext) && _nodes[node + 1].byte == byte)
        return node + 1;
    if (!has(node, Branches))
        return none;
    const NodeId* const child = _branches.find(branchKey(node, byte));
    return child != nullptr ? *child : none;
}

PatternAutomaton::NodeId PatternAutomaton::parentOf(NodeId node) const
{
    const auto after =
        std::upper_bound(_chains.begin(), _chains.end(), node,
                         [](NodeId id, const Chain& chain) { return id < chain.first; });
    const Chain& chain = *std::prev(after);
    return chain.first == node ? chain.parent : node - 1;
}

/// Follows links to the longest suffix that has a child by `byte`, or else to the root. Returns that child.
PatternAutomaton::NodeId PatternAutomaton::advance(State& state, std::uint8_t byte)
{
    while (true)
    {
        ++_work;
        const NodeId child = childOf(state.node, byte);
        if (child != none || state.node == root)
            return child;
        state = _links[state.node].suffix;
    }
}

std::size_t PatternAutomaton::step(State& state, char byte)
{
    const NodeId child = advance(state, static_cast<std::uint8_t>(byte));
    if (child == none)
        return 0;
    if (!has(child, Linked))
        makeLinks(state, child);
    state = {.node = child, .depth = state.depth + 1};
    return has(child, Matches) ? _links[child].matched : 0;
}

std::size_t PatternAutomaton::follow(State& state, std::string_view bytes)
{
    std::size_t taken = 0;
    for (const Node* node = &_nodes[state.node];
         taken < bytes.size() && (node->flags & HasNext) != 0 &&
         node[1].byte == static_cast<std::uint8_t>(bytes[taken]) &&
         (node[1].flags & (Linked | Matches)) == Linked;
         ++node)
        ++taken;
    state.node += static_cast<NodeId>(taken);
    state.depth += static_cast<std::uint32_t>(taken);
    _work += taken;
    return taken;
}

/// Links a child of `parent`, which is linked, and what it links to in turn: each of the child's suffixes
/// is a child of one of the parent's.
void PatternAutomaton::makeLinks(State parent, NodeId node)
{
    const std::uint8_t byte = _nodes[node].byte;
    State end;
    while (true)
    {
        _unlinked.push_back({.node = node, .depth = parent.depth + 1});
        if (parent.node == root)
            break;
        parent = _links[parent.node].suffix;
        node = advance(parent, byte);
        if (node == none)
            break;
        if (has(node, Linked))
        {
            end = {.node = node, .depth = parent.depth + 1};
            break;
        }
    }
    for (; !_unlinked.empty(); _unlinked.pop_back())
    {
        makeLink(_unlinked.back(), end);
        end = _unlinked.back();
    }
}

void PatternAutomaton::makeLink(const State& state, const State& suffix)
{
    Link made;
    if (suffix.node != root)
    {
        made = _links[suffix.node];
        if (has(suffix.node, HasNext | Branches))
            made.suffix = suffix;
    }
    if (has(state.node, Ends))
        made.matched = state.depth;
    _links[state.node] = made;
    _linked = true;
    _nodes[state.node].flags |= made.matched != 0 ? Linked | Matches : Linked;
}

void PatternAutomaton::restore(const State& state)
{
    _links.resize(_nodes.size());
    std::vector<NodeId> path;
    for (NodeId node = state.node; node != root && !has(node, Linked); node = parentOf(node))
        path.push_back(node);
    State parent = {.node = path.empty() ? root : parentOf(path.back()),
                    .depth = state.depth - static_cast<std::uint32_t>(path.size())};
    for (; !path.empty(); path.pop_back())
    {
        // A suffix of one that is further down may have been linked with it.
        if (!has(path.back(), Linked))
            makeLinks(parent, path.back());
        parent = {.node = path.back(), .depth = parent.depth + 1};
    }
}

std::size_t PatternAutomaton::unfinished(const State& state) const
{
    if (state.node == root || has(state.node, HasNext | Branches))
        return state.depth;
    return _links[state.node].suffix.depth;
}

/// A new node may be a longer suffix of any other.
void PatternAutomaton::forgetLinks()
{
    for (Node& node : _nodes)
        node.flags &= static_cast<std::uint8_t>(~(Linked | Matches));
    _linked = false;
}

} // namespace agent
