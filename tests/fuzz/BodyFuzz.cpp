// Bodies of requests: what is taken is within its bounds, and a pipeline can be read again as it is stored. The first byte
// chooses what the body is for.
#include "agent/api/Json.h"
#include "agent/model/Declined.h"
#include "agent/run/InputRules.h"
#include "agent/run/Pipeline.h"
#include "tests/fuzz/Fuzzed.h"

#include <stdexcept>

namespace bounds = agent::bounds;
using agent::textProblem;
using fuzzed::require;

namespace
{

void readRun(const std::string& body)
{
    agent::RunRequest request = agent::runRequestFrom(body);
    const auto& submission = request.submission;
    require(textProblem(submission.commitMessage, bounds::commitMessage).empty());
    require(textProblem(submission.committer, bounds::committer).empty());
    require(agent::commitProblem(submission.commit).empty());
    require(request.env.size() <= bounds::variables);
    if (!request.pipeline || !request.pipeline->problems.empty())
        return;
    const agent::Pipeline pipeline(request.pipeline->spec);
    require(agent::Pipeline::fromJson(pipeline.json()).json() == pipeline.json());
    require(agent::Pipeline(agent::Pipeline::fromJson(pipeline.json()).spec()).json() ==
            pipeline.json());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input = fuzzed::textOf(data, size);
    const std::size_t choice = (fuzzed::takeByte(input) + 2) % 5; // 0 for '0'
    const std::string body(input);
    try
    {
        if (choice == 0)
            readRun(body);
        else if (choice == 1)
            require(textProblem(agent::stagePatchFrom(body).reason, bounds::reason).empty());
        else if (choice == 2)
            require(textProblem(agent::runPatchFrom(body).committer.value_or(""), bounds::committer)
                        .empty());
        else if (choice == 3)
            require(agent::problemOfTokenName(agent::tokenFrom(body).name).empty());
        else
            require(agent::codeFrom(body).size() <= bounds::name);
    }
    catch (const agent::Declined& declined)
    {
        require(declined.kind == agent::Declined::Kind::Invalid && !declined.message.empty());
    }
    return 0;
}
