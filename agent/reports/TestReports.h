#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// How many tests there were. One that failed in several ways, or failed and was marked as skipped, counts once.
struct TestCounts
{
    std::int64_t total = 0;
    std::int64_t failed = 0; ///< with those that had an error
    std::int64_t skipped = 0;
    std::int64_t durationMs = 0; ///< of all tests, as the reports say

    /// What reports say may be any number: no more than this is told, which a client's floating point still holds.
    static constexpr std::int64_t longestMs = 1'000'000'000'000'000;

    void add(const TestCounts& other);
};

/// What the JUnit reports of one attempt say together: counts, and the tests that failed. A report is written by the
/// stage, so none of it is trusted: what is kept of it is bounded, and so is the memory that reading it takes. One
/// that can't be read is told of by its name and why, and the others count.
///
/// `tests.json` in the attempt's folder holds json():
///
///     {"version": 1, "total", "failed", "skipped", "durationMs", "files",
///      "refused": [{"file", "why"}],
///      "failures": [{"kind": "failure" or "error", "suite", "class", "name", "file", "line", "durationMs",
///                    "message", "details"}],
///      "truncated": false}
///
/// A text that a report does not give is empty, a line that it does not give 0. `truncated`: tests failed of which
/// `failures` says nothing, or not all; the counts are of all.
/// Threads: one at a time in the process: pugixml's memory is bounded for the whole of it.
class TestReports
{
public:
    /// Of one report: what is larger is to be refuse()d unread.
    static constexpr std::size_t fileLimit = 32UL << 20;

    /// For the tree of one report, which takes more than its text.
    static constexpr std::size_t memoryLimit = 256UL << 20;

    /// Of all reports of an attempt.
    static constexpr std::size_t mostFailures = 1'000;

    /// Of json().
    static constexpr std::size_t jsonLimit = 512UL << 10;

    /// Counts the tests of a report: `testsuites` or `testsuite`, with suites of any depth up to 64.
    /// `file`: its path, for display. Returns why it was refused, and then counts nothing of it: no JUnit report, no
    /// XML, one that declares entities, or too large; empty when it counts.
    std::string add(std::string_view file, std::string bytes);

    /// Notes a report that could not be read, and why.
    void refuse(std::string_view file, std::string_view why);

    [[nodiscard]] const TestCounts& counts() const { return _counts; }

    /// Reports that count.
    [[nodiscard]] std::int64_t files() const { return _files; }

    /// Returns whether there was any report, read or refused.
    [[nodiscard]] bool any() const { return _files > 0 || !_refused.empty() || _refusedMore; }

    /// Returns the content of `tests.json`: UTF-8, jsonLimit bytes at most.
    [[nodiscard]] std::string json() const;

private:
    TestCounts _counts;
    std::int64_t _files = 0;
    std::vector<std::string> _failures; ///< each the JSON of one
    std::vector<std::string> _refused;  ///< the same
    std::size_t _kept = 0;              ///< bytes of both
    bool _truncated = false;
    bool _refusedMore = false;
};

} // namespace agent
