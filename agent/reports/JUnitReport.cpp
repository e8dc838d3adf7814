#include "agent/reports/JUnitReport.h"

#include <pugixml.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <string_view>

namespace agent
{

namespace
{

constexpr int mostDepth = 64;

// A century: what is longer is no duration.
constexpr double mostSeconds = 3'155'760'000;

std::size_t taken = 0;

// Many small elements take forty times the bytes of their text.
void* takeMemory(std::size_t size)
{
    if (size > TestReports::memoryLimit - std::min(taken, TestReports::memoryLimit))
        return nullptr;
    void* memory = std::malloc(size);
    if (memory != nullptr)
        taken += ::malloc_usable_size(memory);
    return memory;
}

void giveBack(void* memory)
{
    if (memory != nullptr)
        taken -= ::malloc_usable_size(memory);
    std::free(memory);
}

/// `12.345`, or `1,234.5` as some Java locales write it; 0 for what is none.
std::int64_t millisecondsOf(const char* text)
{
    std::string digits(text, std::min<std::size_t>(std::strlen(text), 64));
    std::erase(digits, ',');
    double seconds = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error != std::errc{} || !std::isfinite(seconds) || seconds < 0 || seconds > mostSeconds)
        return 0;
    return std::llround(seconds * 1000);
}

std::int64_t lineOf(const char* text)
{
    std::int64_t line = 0;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), line);
    return error == std::errc{} && line > 0 ? line : 0;
}

bool is(const pugi::xml_node& node, const char* name)
{
    return std::strcmp(node.name(), name) == 0;
}

/// The text of an element, which may be in several parts.
std::string textOf(const pugi::xml_node& node)
{
    std::string text;
    for (const auto& part : node.children())
        if (part.type() == pugi::node_pcdata || part.type() == pugi::node_cdata)
            text += part.value();
    return text;
}

/// Goes through the suites of one report.
class Reader
{
public:
    Reader(TestCounts& counts, const std::function<void(const FailedTest&)>& failed)
        : _counts(counts), _failed(failed)
    {
    }

    /// Returns false where suites stand in each other too deeply.
    bool readSuite(const pugi::xml_node& suite, int depth)
    {
        if (depth > mostDepth)
            return false;
        for (const auto& child : suite.children())
        {
            if (is(child, "testcase"))
                readTest(suite, child);
            else if (is(child, "testsuite") && !readSuite(child, depth + 1))
                return false;
        }
        return true;
    }

private:
    void readTest(const pugi::xml_node& suite, const pugi::xml_node& test)
    {
        const std::int64_t durationMs = millisecondsOf(test.attribute("time").value());
        pugi::xml_node why = test.child("error");
        const bool error = !why.empty();
        if (!error)
            why = test.child("failure");
        const bool skipped = why.empty() && !test.child("skipped").empty();
        _counts.add({.total = 1,
                     .failed = why.empty() ? 0 : 1,
                     .skipped = skipped ? 1 : 0,
                     .durationMs = durationMs});
        if (why.empty())
            return;
        FailedTest one{.error = error,
                       .suite = suite.attribute("name").value(),
                       .className = test.attribute("classname").value(),
                       .name = test.attribute("name").value(),
                       .file = test.attribute("file").value(),
                       .line = lineOf(test.attribute("line").value()),
                       .durationMs = durationMs,
                       .message = why.attribute("message").value(),
                       .details = textOf(why)};
        if (one.file.empty())
            one.file = suite.attribute("file").value();
        if (one.message.empty())
            one.message = why.attribute("type").value();
        _failed(one);
    }

    TestCounts& _counts;
    const std::function<void(const FailedTest&)>& _failed;
};

/// pugixml replaces the five entities of XML only, so none of a report's own ever grows; but a text in which they were
/// left out would be wrong.
bool declaresEntities(const pugi::xml_document& document)
{
    return std::any_of(document.children().begin(), document.children().end(),
                       [](const pugi::xml_node& node)
                       {
                           return node.type() == pugi::node_doctype &&
                                  std::string_view(node.value()).find("<!ENTITY") !=
                                      std::string_view::npos;
                       });
}

} // namespace

std::string readJUnitReport(std::string bytes, TestCounts& counts,
                            const std::function<void(const FailedTest&)>& failed)
{
    if (bytes.size() > TestReports::fileLimit)
        return "larger than " + std::to_string(TestReports::fileLimit >> 20) + " MiB";
    pugi::set_memory_management_functions(takeMemory, giveBack);
    pugi::xml_document document;
    const auto parsed = document.load_buffer_inplace(bytes.data(), bytes.size(),
                                                     pugi::parse_default | pugi::parse_doctype);
    if (parsed.status == pugi::status_out_of_memory)
        return "takes more than " + std::to_string(TestReports::memoryLimit >> 20) + " MiB to read";
    // Before the rest is looked at: the error may be the reference to one of them.
    if (declaresEntities(document))
        return "declares entities";
    if (!parsed)
        return "no XML at byte " + std::to_string(parsed.offset) + ": " + parsed.description();
    const pugi::xml_node root = document.document_element();
    if (!is(root, "testsuites") && !is(root, "testsuite"))
        return "no JUnit report: its root is neither testsuites nor testsuite";
    if (!Reader(counts, failed).readSuite(root, 1))
        return "has suites in each other, deeper than " + std::to_string(mostDepth);
    return "";
}

} // namespace agent
