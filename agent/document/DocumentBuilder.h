#pragma once

#include "agent/document/Document.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace agent
{

/// Builds a tree of DocumentNode from a parser's events, within the limits. For YamlDocument.cpp and JsonDocument.cpp alone.
class DocumentBuilder
{
public:
    /// Thrown when a limit is passed: reading on would be the harm.
    struct LimitPassed
    {
        Place at;
        std::string message;
    };

    /// `mergeKeys`: a member `<<` adds the members of its map, or of its list of maps, that the map around it
    /// does not have itself; the first map that has one wins.
    DocumentBuilder(const std::string& file, std::vector<Problem>& problems,
                    const DocumentLimits& limits, bool mergeKeys = false)
        : _file(file), _problems(problems), _limits(limits), _mergeKeys(mergeKeys)
    {
    }

    /// Anchor 0 is none.
    void begin(DocumentNode::Kind kind, Place at, std::size_t anchor = 0);
    void end();
    void scalar(DocumentNode::Kind kind, const std::string& text, Place at, std::size_t anchor = 0);
    void alias(std::size_t anchor, Place at);

    void problem(Place at, const std::string& message) const;
    [[nodiscard]] const DocumentNode& root() const { return _root; }

private:
    struct Open
    {
        DocumentNode node;
        std::size_t anchor = 0;
        bool keyRead = false; ///< a map: its next value belongs to `key`
        bool dropValue = false;
        std::string key{};
        Place keyAt{};
        std::set<std::string> keys{};
        std::vector<DocumentNode> merged{}; ///< maps of its `<<`
    };

    void add(DocumentNode node, std::size_t anchor);
    void addKey(Open& map, const DocumentNode& node);
    void takeMerged(Open& map, DocumentNode node) const;
    static void merge(Open& map);
    void charge(std::size_t nodes, std::size_t bytes, Place at);
    [[nodiscard]] std::string path() const;

    const std::string& _file;
    std::vector<Problem>& _problems;
    const DocumentLimits _limits;
    const bool _mergeKeys;
    DocumentNode _root;
    std::vector<Open> _open;
    std::map<std::size_t, DocumentNode> _anchored;
    std::size_t _nodes = 0;
    std::size_t _bytes = 0;
};

} // namespace agent
