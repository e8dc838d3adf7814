#include "agent/exec/ExecPlan.h"

#include "agent/model/Id.h"
#include "agent/os/RegularFile.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/FilePipeline.h"
#include "agent/run/Pipeline.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/ServiceCatalog.h"

#include <Poco/String.h>

namespace agent
{

namespace
{

std::shared_ptr<const Service> findService(const std::string& nameOrId,
                                           const ServiceCatalog& services,
                                           const std::vector<Problem>& problems)
{
    if (auto found = services.find(nameOrId))
        return found;
    if (const auto refused = services.refused(nameOrId))
    {
        std::string message = "the service '" + nameOrId + "' is declared, but refused:";
        for (const auto& problem : problems)
            if (problem.file == refused->file)
                message += "\n" + problem.describe();
        throw ExecRefusal(ExecExit::Usage, message);
    }
    std::string names;
    for (const auto& service : services.all())
        names += (names.empty() ? "; there are: " : ", ") + service->name;
    std::string message = "no service is named '" + nameOrId + "'" +
                          (names.empty() ? ": services.dir declares none that is right" : names);
    for (const auto& problem : problems)
        message += "\n" + problem.describe();
    throw ExecRefusal(ExecExit::NotFound, message);
}

/// `0 PREPARE, 1 Unit tests (UNIT_TEST)`
std::string listOf(const std::vector<Stage>& stages)
{
    std::string list;
    for (const auto& stage : stages)
    {
        const std::string type(toString(stage.type));
        list += (list.empty() ? "" : ", ") + std::to_string(stage.ordinal) + " " + stage.name +
                (stage.name == type ? "" : " (" + type + ")");
    }
    return list;
}

/// By its name, else by its type, else by its number.
const Stage& findStage(const std::string& wanted, const std::vector<Stage>& stages)
{
    const auto byName = [&](const Stage& stage) { return stage.name == wanted; };
    const auto byType = [type = Poco::replace(Poco::toUpper(wanted), "-", "_")](const Stage& stage)
    { return toString(stage.type) == type; };
    const auto byNumber = [&](const Stage& stage)
    { return std::to_string(stage.ordinal) == wanted; };

    const Stage* found = nullptr;
    const auto look = [&](const auto& fits)
    {
        for (const auto& stage : stages)
        {
            if (!fits(stage))
                continue;
            if (found)
                throw ExecRefusal(ExecExit::Usage,
                                  "'" + wanted + "' fits several stages; give the number of one: " +
                                      listOf(stages));
            found = &stage;
        }
        return found != nullptr;
    };
    if (look(byName) || look(byType) || look(byNumber))
        return *found;
    throw ExecRefusal(ExecExit::NotFound,
                      "no stage is named '" + wanted + "'; there are: " + listOf(stages));
}

bool deploys(const StageSpec& spec)
{
    return spec.approval.required || spec.type == StageType::DeployStaging ||
           spec.type == StageType::DeployProd;
}

/// Returns whether a stage before the one that is asked for is executed for it.
bool precedes(const Stage& stage, const StageSpec& spec, const PluginRegistry& plugins,
              const ExecRequest& request)
{
    if (stage.type == StageType::Prepare)
        return true;
    const auto plugin = plugins.find(stage.plugin);
    return request.withBefore && !deploys(spec) &&
           (!plugin || plugin->kind != Plugin::Kind::External);
}

void seeThatItMay(const Stage& stage, const StageSpec& spec, const PluginRegistry& plugins,
                  const ExecRequest& request)
{
    const auto plugin = plugins.find(stage.plugin);
    if (!plugin)
        throw ExecRefusal(ExecExit::Usage,
                          "there is no plugin '" + stage.plugin + "' on this host");
    if (plugin->kind == Plugin::Kind::External)
        throw ExecRefusal(ExecExit::Usage, "the work of the stage '" + stage.name +
                                               "' is done elsewhere (plugin " + plugin->name +
                                               "): there is nothing to execute here");
    if (deploys(spec) && !request.sure)
        throw ExecRefusal(ExecExit::Usage,
                          "the stage '" + stage.name +
                              "' deploys or needs an approval, and here nobody is asked for one; "
                              "to execute it all the same, say --yes");
    if (!request.workspace.empty() && plugin->name == "git" && !request.sure)
        throw ExecRefusal(ExecExit::Usage,
                          "the stage '" + stage.name + "' empties its workspace, " +
                              request.workspace.string() + "; if that may be lost, say --yes");
}

/// The stages of a service that has them in its repository: as the file in the folder at hand says.
PipelineSpec fromFile(const PipelineSpec& pipeline, const ExecRequest& request,
                      const PluginRegistry& plugins)
{
    const auto folder = !request.workspace.empty() ? request.workspace
                        : !request.from.empty()    ? request.from
                                                   : std::filesystem::current_path();
    const std::string file = folder / pipeline.file->path;
    std::optional<std::string> text;
    try
    {
        text = readRegularFile(file, pipelineBounds::file);
    }
    catch (const std::runtime_error& error)
    {
        throw ExecRefusal(ExecExit::Usage, file + ": " + error.what());
    }
    if (!text)
        throw ExecRefusal(ExecExit::NotFound,
                          "the stages of the service stand in " + pipeline.file->path +
                              " of its repository, and there is no " + file +
                              ": call it in a working copy, or with --workspace");
    auto parsed = filePipeline(pipeline, *text, plugins, 0);
    std::string message;
    for (const auto& problem : parsed.problems)
        message += (message.empty() ? "" : "\n") + problem.describe();
    if (!message.empty())
        throw ExecRefusal(ExecExit::Usage, message);
    return parsed.spec;
}

} // namespace

ExecPlan planExec(const ExecRequest& request, const ServiceCatalog& services,
                  const PluginRegistry& plugins, const std::vector<Problem>& problems)
{
    const auto service = findService(request.service, services, problems);
    ExecPlan plan;
    plan.pipeline =
        service->pipeline.file ? fromFile(service->pipeline, request, plugins) : service->pipeline;
    for (const auto& [name, value] : request.env)
        plan.pipeline.env[name] = value;
    try
    {
        (void)Pipeline(plan.pipeline); // not longer than a run's may be
    }
    catch (const std::runtime_error& error)
    {
        throw ExecRefusal(ExecExit::Usage, error.what());
    }

    plan.run.id = newId();
    plan.run.createdAt = plan.run.updatedAt = nowMs();
    plan.run.serviceId = service->id;
    plan.run.serviceName = service->name;
    plan.run.commitHash = request.commit;
    plan.run.branch = request.branch;
    plan.stages = stagesOf(plan.pipeline, plan.run);

    const Stage& wanted = findStage(request.stage, plan.stages);
    if (request.workspace.empty() && request.from.empty())
        for (const auto& stage : plan.stages)
            if (stage.ordinal < wanted.ordinal &&
                precedes(stage, plan.specOf(stage), plugins, request))
                plan.toRun.push_back(stage.ordinal);
    plan.toRun.push_back(wanted.ordinal);
    for (const int ordinal : plan.toRun)
    {
        const Stage& stage = plan.stages.at(static_cast<std::size_t>(ordinal));
        seeThatItMay(stage, plan.specOf(stage), plugins, request);
    }
    return plan;
}

} // namespace agent
