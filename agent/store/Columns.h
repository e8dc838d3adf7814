#pragma once

#include "agent/model/ArtifactSet.h"
#include "agent/model/HookDelivery.h"
#include "agent/model/Report.h"
#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/model/TakenSet.h"
#include "agent/model/Token.h"
#include "agent/store/Statement.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace agent
{

/// When a column's value is written.
enum class Written
{
    Always, ///< at the insert and at every update
    WithStatus, ///< the same, but for an update that leaves the status as it is: an UPDATE rewrites every index
                ///< on a column that it sets, to whatever value
    Once,    ///< at the insert
    ByRecord ///< never by us: the record gives it at the insert
};

/// One column of a table: how its value goes from a record (a Run, a Stage, …) into a statement, and from
/// a row into a record.
template <typename Record> struct Column
{
    const char* name;
    Written written;
    void (*bind)(Statement& statement, const Record& record);
    void (*read)(Statement& row, Record& record);
};

/// How each type of value is kept: enumerations as their words, an empty text and Sync::None as NULL, texts
/// one a line, labels as `key:value`.
void bindValue(Statement& statement, std::int64_t value);
void bindValue(Statement& statement, int value);
void bindValue(Statement& statement, bool value);
void bindValue(Statement& statement, const std::string& value);
void bindValue(Statement& statement, const std::optional<std::int64_t>& value);
void bindValue(Statement& statement, const std::optional<int>& value);
void bindValue(Statement& statement, Status value);
void bindValue(Statement& statement, TriggerType value);
void bindValue(Statement& statement, StageType value);
void bindValue(Statement& statement, const std::optional<Cause>& value);
void bindValue(Statement& statement, Intent value);
void bindValue(Statement& statement, Sync value);
void bindValue(Statement& statement, Role value);
void bindValue(Statement& statement, const std::vector<std::string>& value);
void bindValue(Statement& statement, const Labels& value);
void readValue(Statement& row, std::int64_t& value);
void readValue(Statement& row, int& value);
void readValue(Statement& row, bool& value);
void readValue(Statement& row, std::string& value);
void readValue(Statement& row, std::optional<std::int64_t>& value);
void readValue(Statement& row, std::optional<int>& value);
void readValue(Statement& row, Status& value);
void readValue(Statement& row, TriggerType& value);
void readValue(Statement& row, StageType& value);
void readValue(Statement& row, std::optional<Cause>& value);
void readValue(Statement& row, Intent& value);
void readValue(Statement& row, Sync& value);
void readValue(Statement& row, Role& value);
void readValue(Statement& row, std::vector<std::string>& value);
void readValue(Statement& row, Labels& value);

namespace columns
{

template <typename Record, typename Value> Record ownerOf(Value Record::*member);
template <auto Member> using Owner = decltype(ownerOf(Member));

/// The member at the end of a path: `at<&Stage::usage, &Usage::cpuMs>(stage)`.
template <auto First, auto... Rest, typename Record> auto& at(Record& record)
{
    if constexpr (sizeof...(Rest) == 0)
        return record.*First;
    else
        return at<Rest...>(record.*First);
}

} // namespace columns

/// The column that keeps the member at `Path`.
template <auto First, auto... Rest>
constexpr Column<columns::Owner<First>> column(const char* name, Written written = Written::Always)
{
    using Record = columns::Owner<First>;
    return {name, written,
            [](Statement& statement, const Record& record)
            { bindValue(statement, columns::at<First, Rest...>(record)); },
            [](Statement& row, Record& record)
            { readValue(row, columns::at<First, Rest...>(record)); }};
}

/// As column(), for a text that the table declares NOT NULL.
template <auto Member>
constexpr Column<columns::Owner<Member>> textColumn(const char* name,
                                                    Written written = Written::Always)
{
    using Record = columns::Owner<Member>;
    return {name, written,
            [](Statement& statement, const Record& record) { statement.bind(record.*Member); },
            [](Statement& row, Record& record) { readValue(row, record.*Member); }};
}

template <typename Record, std::size_t A, std::size_t B>
constexpr std::array<Column<Record>, A + B> join(const std::array<Column<Record>, A>& first,
                                                 const std::array<Column<Record>, B>& second)
{
    std::array<Column<Record>, A + B> both{};
    std::copy(first.begin(), first.end(), both.begin());
    std::copy(second.begin(), second.end(), both.begin() + A);
    return both;
}

/// A table of the record. Its first column identifies a row.
template <typename Record, std::size_t N> struct Table
{
    const char* name;
    std::array<Column<Record>, N> columns;

    /// `SELECT all columns FROM table` and what follows. The text column `without`, if any, is read as empty.
    [[nodiscard]] std::string select(const std::string& rest, const std::string& without = "") const
    {
        std::string names;
        for (const auto& column : columns)
            add(names, column.name == without ? "''" : column.name);
        return "SELECT " + names + " FROM " + name + " " + rest;
    }

    /// `INSERT INTO table (…) VALUES (?, …)`; `verb` may be another than INSERT.
    [[nodiscard]] std::string insert(const std::string& verb = "INSERT") const
    {
        std::string names;
        std::string values;
        for (const auto& column : columns)
            if (column.written != Written::ByRecord)
            {
                add(names, column.name);
                add(values, "?");
            }
        return verb + " INTO " + name + " (" + names + ") VALUES (" + values + ")";
    }

    /// `UPDATE table SET a = ?, … WHERE first = ?`; with Written::Always only what is always written.
    [[nodiscard]] std::string update(Written most = Written::WithStatus) const
    {
        std::string changes;
        for (const auto& column : columns)
            if (column.written <= most)
                add(changes, std::string(column.name) + " = ?");
        return std::string("UPDATE ") + name + " SET " + changes + " WHERE " + columns[0].name +
               " = ?";
    }

    /// Binds the values of `record` to the parameters of insert().
    Statement& bindInsert(Statement& statement, const Record& record) const
    {
        for (const auto& column : columns)
            if (column.written != Written::ByRecord)
                column.bind(statement, record);
        return statement;
    }

    /// Binds the values of `record` to the parameters of update().
    Statement& bindUpdate(Statement& statement, const Record& record,
                          Written most = Written::WithStatus) const
    {
        for (const auto& column : columns)
            if (column.written <= most)
                column.bind(statement, record);
        columns[0].bind(statement, record);
        return statement;
    }

    /// Reads a row of select() into `record`.
    void read(Statement& row, Record& record) const
    {
        for (const auto& column : columns)
            column.read(row, record);
    }

private:
    static void add(std::string& list, const std::string& item)
    {
        list += (list.empty() ? "" : ", ") + item;
    }
};
template <typename Record, std::size_t N>
Table(const char*, std::array<Column<Record>, N>) -> Table<Record, N>;

} // namespace agent
