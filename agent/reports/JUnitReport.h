#pragma once

#include "agent/reports/TestReports.h"

#include <functional>
#include <string>

namespace agent
{

/// A test that failed, as its report tells of it: of any length, and perhaps no UTF-8.
struct FailedTest
{
    bool error = false; ///< the test itself went wrong; false: what it tests
    std::string suite;
    std::string className;
    std::string name;
    std::string file; ///< the test's source
    std::int64_t line = 0;
    std::int64_t durationMs = 0;
    std::string message;
    std::string details; ///< most often a stack trace
};

/// Reads one report, TestReports::fileLimit bytes at most. `failed` is called for each test that failed, in order.
/// Returns why it is none, and then `counts` is of no use; empty when it was read.
/// Source: https://github.com/testmoapp/junitxml, which describes what the tools write.
std::string readJUnitReport(std::string bytes, TestCounts& counts,
                            const std::function<void(const FailedTest&)>& failed);

} // namespace agent
