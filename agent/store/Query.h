#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace agent
{

/// The text of a statement of the record. Every statement that is prepared and kept is such an object at
/// namespace scope: it registers itself before main(), so a test can have SQLite explain all of them.
class Query
{
public:
    explicit Query(std::string sql);
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    [[nodiscard]] const std::string& sql() const { return _sql; }

    /// Its place in all().
    [[nodiscard]] std::size_t number() const { return _number; }

    /// Every statement of this program. Threads: any, once main() runs.
    [[nodiscard]] static const std::vector<const Query*>& all();

private:
    std::string _sql;
    std::size_t _number;
};

} // namespace agent
