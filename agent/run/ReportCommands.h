#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

class Engine;

namespace commands
{

/// Removes reports from the record: they were confirmed, or nobody shall get them. Those that are gone already
/// are passed over. Errors: Declined Unavailable, and nothing is removed.
void removeReports(Engine& engine, const std::vector<std::int64_t>& seqs);

/// Replaces what is sent of a report; one that is gone is passed over. Errors: Declined Unavailable; it is as it was.
void updateReport(Engine& engine, std::int64_t seq, const std::string& body);

/// Removes all reports of a target. Returns how many. Errors: as removeReports().
int removeReportsOf(Engine& engine, const std::string& target);

} // namespace commands

} // namespace agent
