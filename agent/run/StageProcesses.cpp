#include "agent/run/StageProcesses.h"

#include "agent/model/Masker.h"
#include "agent/model/SecretEncodings.h"
#include "agent/os/RegularFile.h"
#include "agent/run/OrderBuilder.h"
#include "agent/run/Pipeline.h"
#include "agent/run/StageDefinition.h"
#include "agent/run/UnkillableStage.h"

#include <exception>
#include <sstream>
#include <utility>

namespace agent
{

namespace
{

constexpr std::size_t mostMaskBytes = 64UL * 1024; // as the shim reads

/// Returns what the stage has declared secret while it runs.
std::vector<std::string> declaredSecrets(const std::filesystem::path& file)
{
    std::vector<std::string> secrets;
    try
    {
        std::istringstream lines(readRegularFile(file.string(), mostMaskBytes).value_or(""));
        for (std::string line; std::getline(lines, line);)
            if (line.size() >= shortestSecret)
                secrets.push_back(line);
    }
    catch (const std::system_error&)
    {
        secrets.clear(); // the stage has replaced its own file
    }
    return secrets;
}

std::vector<std::string> namesOf(const Run& run)
{
    try
    {
        return allSecrets(Pipeline::fromJson(run.pipeline).spec());
    }
    catch (const std::runtime_error&)
    {
        return {};
    }
}

} // namespace

std::vector<ProcessDetail> shownProcesses(const StateFolder& state, const Run& run,
                                          const Stage& stage, const SecretFolder& secrets)
{
    auto details = detailsOf(processesOf(state, stage));
    if (details.empty())
        return details;
    const auto names = namesOf(run);
    const auto declared = declaredSecrets(state.attempt(stage, stage.attempt) / files::mask);
    // One text, masked once: no secret holds a NUL, nor does a text of these.
    std::vector<std::string*> texts;
    for (ProcessDetail& detail : details)
    {
        for (std::string& argument : detail.arguments)
            texts.push_back(&argument);
        if (detail.wait)
            texts.insert(texts.end(), {&detail.wait->words, &detail.wait->path});
    }
    std::string all;
    for (const std::string* text : texts)
        all.append(*text).push_back('\0');
    std::string result = masked(all, names, secrets);
    if (!declared.empty())
    {
        Masker masker(declared);
        std::string further;
        masker.feed(result, further);
        masker.flush(further);
        result = std::move(further);
    }
    std::istringstream parts(result);
    for (std::string* text : texts)
    {
        std::getline(parts, *text, '\0');
        *text = withoutCredentials(*text);
    }
    return details;
}

} // namespace agent
