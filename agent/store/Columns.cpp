#include "agent/store/Columns.h"

#include <sstream>

namespace agent
{

void bindValue(Statement& statement, std::int64_t value)
{
    statement.bind(value);
}

void bindValue(Statement& statement, int value)
{
    statement.bind(value);
}

void bindValue(Statement& statement, bool value)
{
    statement.bind(value);
}

void bindValue(Statement& statement, const std::string& value)
{
    statement.bindText(value);
}

void bindValue(Statement& statement, const std::optional<std::int64_t>& value)
{
    statement.bind(value);
}

void bindValue(Statement& statement, const std::optional<int>& value)
{
    statement.bind(value);
}

void bindValue(Statement& statement, Status value)
{
    statement.bind(toString(value));
}

void bindValue(Statement& statement, TriggerType value)
{
    statement.bind(toString(value));
}

void bindValue(Statement& statement, StageType value)
{
    statement.bind(toString(value));
}

void bindValue(Statement& statement, const std::optional<Cause>& value)
{
    statement.bind(value ? std::optional(toString(*value)) : std::nullopt);
}

void bindValue(Statement& statement, Intent value)
{
    statement.bindText(std::string(toString(value)));
}

void bindValue(Statement& statement, Sync value)
{
    if (value == Sync::None)
        statement.bindNull();
    else
        statement.bind(static_cast<int>(value));
}

void bindValue(Statement& statement, Role value)
{
    statement.bind(toString(value));
}

void bindValue(Statement& statement, const std::vector<std::string>& value)
{
    std::string lines;
    for (const auto& text : value)
        lines += text + "\n";
    statement.bindText(lines);
}

void bindValue(Statement& statement, const Labels& value)
{
    std::string lines;
    for (const auto& [key, text] : value)
        lines.append(key).append(1, ':').append(text).append(1, '\n');
    statement.bindText(lines);
}

void readValue(Statement& row, std::int64_t& value)
{
    value = row.integer();
}

void readValue(Statement& row, int& value)
{
    value = static_cast<int>(row.integer());
}

void readValue(Statement& row, bool& value)
{
    value = row.integer() != 0;
}

void readValue(Statement& row, std::string& value)
{
    value = row.text();
}

void readValue(Statement& row, std::optional<std::int64_t>& value)
{
    value = row.maybeInteger();
}

void readValue(Statement& row, std::optional<int>& value)
{
    const auto integer = row.maybeInteger();
    value = integer ? std::optional(static_cast<int>(*integer)) : std::nullopt;
}

void readValue(Statement& row, Status& value)
{
    value = statusFrom(row.text()).value_or(Status::Failure);
}

void readValue(Statement& row, TriggerType& value)
{
    value = triggerTypeFrom(row.text()).value_or(TriggerType::Manual);
}

void readValue(Statement& row, StageType& value)
{
    value = stageTypeFrom(row.text()).value_or(StageType::Other);
}

void readValue(Statement& row, std::optional<Cause>& value)
{
    value = causeFrom(row.text());
}

void readValue(Statement& row, Intent& value)
{
    value = intentFrom(row.text());
}

void readValue(Statement& row, Sync& value)
{
    const auto number = row.maybeInteger();
    value = number && *number >= 0 && *number <= 2 ? static_cast<Sync>(*number) : Sync::None;
}

/// A role that this build does not know is the least.
void readValue(Statement& row, Role& value)
{
    value = roleFrom(row.text()).value_or(Role::Read);
}

void readValue(Statement& row, std::vector<std::string>& value)
{
    value.clear();
    std::istringstream lines(row.text());
    for (std::string line; std::getline(lines, line);)
        value.push_back(line);
}

void readValue(Statement& row, Labels& value)
{
    value.clear();
    std::istringstream lines(row.text());
    for (std::string line; std::getline(lines, line);)
        if (const auto colon = line.find(':'); colon != std::string::npos)
            value[line.substr(0, colon)] = line.substr(colon + 1);
}

} // namespace agent
