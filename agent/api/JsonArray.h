#pragma once

#include "agent/api/Http.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// Gives the JSON of one element after the other; nothing behind the last one.
using JsonElements = std::function<std::optional<std::string>()>;

/// Answers with an array of any length, of which no more than a page is held in memory: a short one is
/// sent at once with its length, of a longer one the elements are taken while it is sent, by different
/// threads one after the other. An element should not come to more than 192 KiB.
Response arrayOf(JsonElements elements);

/// The elements of rows that are read some at a time: `fetch` gets the last row of the batch before, null at
/// first, and returns nothing behind the last one. `write` makes the JSON of a row.
template <typename Row>
JsonElements elementsOf(std::function<std::vector<Row>(const Row* last)> fetch,
                        std::function<std::string(const Row&)> write)
{
    struct Part
    {
        std::vector<Row> rows;
        std::size_t at = 0;
    };
    return [batch = std::make_shared<Part>(), fetch = std::move(fetch),
            write = std::move(write)]() -> std::optional<std::string>
    {
        if (batch->at == batch->rows.size())
        {
            auto rows = fetch(batch->rows.empty() ? nullptr : &batch->rows.back());
            if (rows.empty())
                return std::nullopt;
            *batch = {.rows = std::move(rows), .at = 0};
        }
        return write(batch->rows[batch->at++]);
    };
}

/// The elements of values that are in memory already.
template <typename Value>
JsonElements elementsOf(std::vector<Value> values, std::function<std::string(const Value&)> write)
{
    return elementsOf<Value>([values = std::move(values)](const Value* last) mutable
                             { return last ? std::vector<Value>() : std::exchange(values, {}); },
                             std::move(write));
}

} // namespace agent
