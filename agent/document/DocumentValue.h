#pragma once

#include "agent/document/Document.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A value's text fit for a message: quoted, cut, without line breaks.
std::string inQuotes(std::string_view text);

/// A place in a document. Each reading checks, and tells what is wrong with file, line and key path;
/// the caller only goes on without the value.
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

    /// A scalar of any kind, as written.
    [[nodiscard]] std::optional<std::string> text() const;
    /// The same, but not empty.
    [[nodiscard]] std::optional<std::string> word() const;
    [[nodiscard]] std::optional<bool> boolean() const;
    /// A whole number from `least` to `most`; a quoted one is none.
    [[nodiscard]] std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
    /// Shape: its items, empty when it is no list.
    [[nodiscard]] std::vector<DocumentValue> list() const;
    /// The members of a map whose keys are the author's own. Shape: empty when it is no map.
    [[nodiscard]] std::vector<DocumentValue> members() const;
    /// Each item's `word`.
    [[nodiscard]] std::vector<std::string> words() const;
    /// A value that is given on as it is: a setting. Null is none.
    [[nodiscard]] std::optional<Setting> setting() const;

    /// Tells that something else was expected; `hint` comes last.
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

/// A map whose keys are fixed: an unknown one is told at once.
class DocumentMap
{
public:
    DocumentMap(DocumentValue value, std::initializer_list<std::string_view> known);

    [[nodiscard]] std::optional<DocumentValue> find(std::string_view key) const;
    /// The same, and tells when it isn't there.
    [[nodiscard]] std::optional<DocumentValue> require(std::string_view key) const;
    [[nodiscard]] const DocumentValue& value() const { return _value; }

private:
    DocumentValue _value;
};

} // namespace agent
