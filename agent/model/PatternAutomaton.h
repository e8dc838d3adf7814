#pragma once

#include "agent/model/FlatMap.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace agent
{

/// Finds the patterns that end at each byte of a stream, in time linear in the stream.
///
/// The automaton of Aho and Corasick: a trie of the patterns; each node links to the longest proper suffix
/// that is a node as well. Two things differ from the textbook, for tens of thousands of patterns that
/// are looked for in streams which hardly ever have one:
/// - Links are made when the stream first leads to a node. To add a pattern costs a walk over it,
///   and until then nothing more.
/// - A trie of long patterns is nearly all chains, so the first child of a node is the next node in the
///   array; only further children are in a map.
///
/// Threads: none of its own, and a step changes it; several streams may share one within a thread.
/// Source: Aho and Corasick, "Efficient string matching", CACM 18 (1975).
class PatternAutomaton
{
public:
    using NodeId = std::uint32_t;

    /// Where a stream is: at the longest of its suffixes that begins a pattern.
    struct State
    {
        NodeId node = 0;
        std::uint32_t depth = 0; ///< length of that suffix
    };

    /// Adds a pattern. States stay valid. Returns how many of its bytes already began another pattern;
    /// its size when it was known.
    std::size_t add(std::string_view pattern);

    /// To be called with each stream's state after an `add`, before its next step.
    void restore(const State& state);

    /// Takes the stream's next byte. Returns the length of the longest pattern that ends with it; 0: none.
    std::size_t step(State& state, char byte);

    /// Takes the stream's next bytes as far as it can do so at once: while they go on with the same patterns,
    /// and none ends. Returns how many it took, which may be none.
    std::size_t follow(State& state, std::string_view bytes);

    /// How many of the stream's last bytes may be the beginning of a pattern that is not yet complete.
    [[nodiscard]] std::size_t unfinished(const State& state) const;

    /// How many nodes it has; 1 without a pattern.
    [[nodiscard]] std::size_t nodes() const { return _nodes.size(); }

    /// How often a child or a link was followed so far: what its time is proportional to.
    [[nodiscard]] std::uint64_t work() const { return _work; }

private:
    static constexpr NodeId root = 0;
    static constexpr NodeId none = 0; ///< the root is nobody's child

    enum Flag : std::uint8_t
    {
        HasNext = 1,  ///< the next node in the array is a child
        Branches = 2, ///< has children in _branches
        Ends = 4,     ///< a pattern ends here
        Linked = 8,   ///< its link is made
        Matches = 16  ///< linked, and a pattern ends here or in a suffix
    };

    struct Node
    {
        std::uint8_t byte = 0; ///< the last one
        std::uint8_t flags = 0;
    };

    struct Link
    {
        State suffix; ///< the longest proper suffix that is a node with children, or the root
        std::uint32_t matched = 0; ///< length of the longest pattern that ends here
    };

    /// A chain of nodes that was added at once.
    struct Chain
    {
        NodeId first = 0;
        NodeId parent = 0;
    };

    [[nodiscard]] NodeId childOf(NodeId node, std::uint8_t byte) const;
    [[nodiscard]] NodeId parentOf(NodeId node) const;
    [[nodiscard]] bool has(NodeId node, unsigned flags) const
    {
        return (_nodes[node].flags & flags) != 0;
    }
    void branch(NodeId node, std::uint8_t byte, NodeId child);
    NodeId advance(State& state, std::uint8_t byte);
    void makeLinks(State parent, NodeId node);
    void makeLink(const State& state, const State& suffix);
    void forgetLinks();

    std::vector<Node> _nodes{1};
    std::array<NodeId, 256> _first = {};      ///< the root's children, by their byte
    FlatMap<std::uint64_t, NodeId> _branches; ///< by node and byte
    std::vector<Chain> _chains;               ///< ascending by `first`
    std::vector<Link> _links;                 ///< by node; not yet made where the flag is not set
    bool _linked = false;                     ///< whether one is made
    std::vector<State> _unlinked;             ///< of makeLinks
    std::uint64_t _work = 0;
};

} // namespace agent
