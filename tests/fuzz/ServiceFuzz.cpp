// Files of services.d/: a service without a problem has a pipeline that can be stored and read again.
#include "agent/run/Pipeline.h"
#include "agent/run/PipelineParser.h"
#include "tests/fuzz/FuzzFolder.h"

using fuzzed::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzzed::Folder folder;
    const auto service =
        agent::parseService(folder.write("service.yaml", fuzzed::textOf(data, size)));
    if (!service.problems.empty())
    {
        for (const auto& problem : service.problems)
            require(!problem.message.empty());
        return 0;
    }
    require(!service.service.name.empty() && !service.service.pipeline.stages.empty());
    const agent::Pipeline pipeline(service.service.pipeline);
    require(agent::Pipeline::fromJson(pipeline.json()).json() == pipeline.json());
    return 0;
}
