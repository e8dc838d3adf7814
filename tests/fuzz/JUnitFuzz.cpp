// JUnit reports, which stages write: what is told of them is valid JSON and bounded, and a refused one counts for
// nothing.
#include "agent/reports/TestReports.h"
#include "tests/fuzz/Fuzzed.h"

#include <rapidjson/document.h>

using fuzzed::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    agent::TestReports results;
    const std::string why = results.add("report.xml", std::string(fuzzed::textOf(data, size)));
    const auto& counts = results.counts();
    require(why.empty() ? results.files() == 1 : counts.total == 0);
    require(counts.failed + counts.skipped <= counts.total);
    const std::string json = results.json();
    require(json.size() <= agent::TestReports::jsonLimit);
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(json);
    require(!document.HasParseError());
    require(std::cmp_less_equal(document["failures"].Size(), counts.failed));
    return 0;
}
