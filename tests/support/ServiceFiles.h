#pragma once

#include "agent/run/PipelineParser.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestAssert.h>

#include <string>
#include <vector>

namespace agent::test
{

/// Every problem as people see it, one a line.
inline std::string all(const std::vector<Problem>& problems)
{
    std::string text;
    for (const Problem& problem : problems)
        text += problem.describe() + '\n';
    return text;
}

/// As a request's pipeline, but with lines.
inline ParsedPipeline inlined(const std::string& text)
{
    std::vector<Problem> problems;
    const std::size_t first = text.find_first_not_of(" \n");
    const auto root = first != std::string::npos && text[first] == '{'
                          ? parseJson(text, "", problems)
                          : parseYaml(text, "", problems);
    return parsePipeline(root, std::move(problems));
}

/// A folder with a service's file.
class ServiceFiles
{
public:
    /// A file with these stages, and one with a stage that has this key in line 5.
    static std::string stages(const std::string& list)
    {
        return "name: a\nstages:\n" + list + "\n";
    }
    static std::string stage(const std::string& key)
    {
        return stages("- type: BUILD\n  plugin: p\n  " + key);
    }

    ParsedService service(const std::string& text)
    {
        return parseService(_folder.write("a.yaml", text));
    }

    /// The service is refused, and a line of the problems is the file's name and then `wanted`.
    void check(const std::string& text, const std::string& wanted)
    {
        const auto parsed = service(text);
        const std::string found = all(parsed.problems);
        const std::string file = (_folder.path() / "a.yaml").string();
        CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + found,
                               found.find(wanted) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(found, found.find(file + ":") != std::string::npos);
    }

    FilesFolder& folder() { return _folder; }

private:
    FilesFolder _folder;
};

} // namespace agent::test
