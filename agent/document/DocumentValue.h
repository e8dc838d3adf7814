#pragma once

#include "agent/document/Document.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A value's text fit for a message: quoted, cut, without line breaks.
std::string inQuotes(std::string_view text);

/// A node of a document with its path. Accessors check it and report errors with file, line and path; on an error
/// the caller continues without the value.
/// Owner: borrows the node, the file's name and the list of problems.
class DocumentValue
{
public:
    DocumentValue(const DocumentNode& node, std::string path, const std::string& file,
                  std::vector<Problem>& problems)
        : _node(&node), _path(std::move(path)), _file(&file), _problems(&problems)
    {
    }

    [[nodiscard]] const DocumentNode& node() const { return *_node; }
    [[nodiscard]] const std::string& key() const { return _node->key; }
    [[nodiscard]] const std::string& path() const { return _path; }
    void problem(const std::string& message) const;

    /// Returns a scalar of any kind, as written.
    [[nodiscard]] std::optional<std::string> text() const;
    /// As text(), but not empty.
    [[nodiscard]] std::optional<std::string> word() const;
    [[nodiscard]] std::optional<bool> boolean() const;
    /// Returns an integer from `least` to `most`, unless it is quoted.
    [[nodiscard]] std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
    /// Returns the items; empty if it is not a list.
    [[nodiscard]] std::vector<DocumentValue> list() const;
    /// Returns the members of a map with arbitrary keys; empty if it is not a map.
    [[nodiscard]] std::vector<DocumentValue> members() const;
    /// Returns word() of each item.
    [[nodiscard]] std::vector<std::string> words() const;
    /// Returns a plugin setting; nullopt for null.
    [[nodiscard]] std::optional<Setting> setting() const;

    /// Reports that `what` was expected, followed by `hint`.
    void expected(std::string_view what, const std::string& hint = {}) const;
    [[nodiscard]] DocumentValue child(const DocumentNode& node, const std::string& path) const
    {
        return {node, path, *_file, *_problems};
    }

private:
    const DocumentNode* _node;
    std::string _path;
    const std::string* _file;
    std::vector<Problem>* _problems;
};

/// A map with a fixed set of keys; the constructor reports unknown ones.
class DocumentMap
{
public:
    enum class Others
    {
        Refused,
        Prefixed ///< keys that begin with `x-` are free, as a place for YAML anchors
    };

    DocumentMap(DocumentValue value, const std::vector<std::string_view>& known,
                Others others = Others::Refused);

    [[nodiscard]] std::optional<DocumentValue> find(std::string_view key) const;
    /// As find(), but reports a missing key.
    [[nodiscard]] std::optional<DocumentValue> require(std::string_view key) const;
    [[nodiscard]] const DocumentValue& value() const { return _value; }

private:
    DocumentValue _value;
};

} // namespace agent
