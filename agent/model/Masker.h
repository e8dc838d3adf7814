#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Replaces secrets in a stream of bytes, over all borders of chunks.
///
/// Looked for is each secret and all its disguises (see Disguises.h). Bytes that belong to at least one
/// occurrence are covered; every run of covered bytes becomes one `***`, all other bytes stay as
/// they are. Occurrences may overlap each other and themselves.
///
/// Threads: none of its own; one stream, one Masker.
/// Source: Aho and Corasick, "Efficient string matching", CACM 18 (1975): goto, failure and output
/// functions. A matcher that falls back to the first byte after a partial match instead misses `aab`
/// in `aaab`. The automaton is only walked from where four bytes are seen that may begin a pattern, and
/// only as long as it is in one.
class Masker
{
public:
    /// Errors: std::invalid_argument for a secret of fewer than 4 bytes (`shortestSecret`).
    explicit Masker(const std::vector<std::string>& secrets);

    /// Looks for one more secret, in the bytes fed from now on.
    /// Errors: std::invalid_argument for fewer than 4 bytes; nothing changed then.
    void add(std::string_view secret);

    /// Takes the stream's next bytes and appends to `out` all that is decided, masked.
    void feed(std::string_view in, std::string& out);

    /// Ends the stream: appends what is held. The next `feed` begins a new one.
    void flush(std::string& out);

    /// Bytes taken and not yet appended, since they may be the beginning of a secret. A covered byte is
    /// held only while one before it is not decided.
    [[nodiscard]] std::size_t held() const { return _held.size(); }

private:
    using NodeId = std::uint32_t;
    static constexpr NodeId root = 0;
    static constexpr NodeId none = 0; ///< the root is nobody's child
    static constexpr std::uint32_t noRow = ~std::uint32_t{0};

    /// A beginning of at least one pattern.
    struct Node
    {
        NodeId firstChild = none;
        NodeId nextSibling = none;
        NodeId fail = root;        ///< the longest proper suffix that is a node as well
        std::uint32_t depth = 0;   ///< its length
        std::uint32_t matched = 0; ///< length of the longest pattern that ends here; 0: none
        std::uint32_t live = 0;    ///< how many of its last bytes a longer occurrence may need
        std::uint32_t row = noRow; ///< its index in _rows
        std::uint8_t byte = 0;     ///< the last one
    };

    /// A run of covered bytes, in positions of the stream.
    struct Cover
    {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };

    void insert(std::string_view secret);
    void compile();
    void compileRow(NodeId node);
    [[nodiscard]] NodeId childOf(NodeId node, std::uint8_t byte) const;
    [[nodiscard]] NodeId step(NodeId node, std::uint8_t byte) const;
    [[nodiscard]] std::size_t nextBeginning(std::string_view in, std::size_t at) const;
    [[nodiscard]] NodeId walk(NodeId node, std::string_view in, std::size_t& at, std::size_t end);
    void scan(std::string_view in);
    void cover(std::uint64_t begin, std::uint64_t end);
    void release(std::uint64_t limit, std::string_view in, std::string& out);
    void copy(std::uint64_t end, std::string_view in, std::string& out);

    std::vector<Node> _nodes{1};
    bool _compiled = false; ///< put off to the next use, as adds come in numbers
    /// All transitions of the root and its children, where text without secrets nearly always is.
    std::vector<std::array<NodeId, 256>> _rows;
    /// By the hash of four bytes: 1 where a pattern may begin with them.
    std::array<std::uint8_t, 16384> _beginnings = {};

    // Positions in the stream count from 1, so that 0 is before all of it.
    NodeId _state = root;
    std::uint64_t _at = 1;       ///< of the next byte
    std::uint64_t _decided = 1;  ///< all before it is appended
    std::uint64_t _maskedTo = 0; ///< end of the last run whose `***` is appended
    std::string _held;           ///< the bytes from _decided to _at
    std::vector<Cover> _covers;  ///< not yet appended, ascending, with bytes between them
};

} // namespace agent
