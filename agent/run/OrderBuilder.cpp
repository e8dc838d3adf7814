#include "agent/run/OrderBuilder.h"

#include "agent/model/Utf8.h"
#include "agent/run/CacheScopes.h"
#include "agent/run/InputRules.h"
#include "agent/run/RecentCommits.h"
#include "agent/run/RefusedVariables.h"
#include "agent/run/RepositoryStages.h"
#include "agent/run/SecretGrants.h"
#include "agent/run/SmallFile.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace agent
{

namespace
{

constexpr std::size_t outputsLimit = 64 << 10;

/// Bubblewrap and the first process of its pid namespace: a limit of processes is one of the stage's own.
constexpr std::int64_t sandboxProcesses = 2;

std::map<std::string, std::string> parseOutputs(const std::string& json)
{
    // RapidJSON's own check of UTF-8 reads past the end of a text that ends within a character.
    rapidjson::Document document;
    if (isUtf8(json) && json.find('\0') == std::string::npos)
        document.Parse<rapidjson::kParseIterativeFlag>(json);
    if (document.HasParseError() || !document.IsObject())
        throw std::runtime_error("not a JSON object");
    std::map<std::string, std::string> outputs;
    for (const auto& [name, value] : document.GetObject())
    {
        if (!value.IsString())
            throw std::runtime_error("the value of '" + std::string(name.GetString()) +
                                     "' is no string");
        const std::string text(value.GetString(), value.GetStringLength());
        if (text.find('\0') != std::string::npos)
            throw std::runtime_error("the value of '" + std::string(name.GetString()) +
                                     "' holds a NUL");
        outputs[name.GetString()] = text;
    }
    return outputs;
}

/// `OUTPUT_<NAME>` with the same rule as PLUGIN_<NAME>.
std::string outputVariable(const std::string& name)
{
    return "OUTPUT" + PluginRegistry::variable(name).substr(std::strlen("PLUGIN"));
}

std::string defaultFrom(const std::string& source, const OrderContext& context)
{
    if (source == "repository")
        return context.pipeline.repository;
    if (!context.run.commitHash.empty())
        return context.run.commitHash;
    return context.run.branch.empty() ? context.pipeline.branch : context.run.branch;
}

void addSettings(std::map<std::string, std::string>& env, const OrderContext& context)
{
    for (const auto& setting : context.plugin.settings)
    {
        const std::string name = PluginRegistry::variable(setting.name);
        const auto given = context.spec.with.find(setting.name);
        if (given != context.spec.with.end())
            env[name] = context.plugin.value(given->second);
        else if (!setting.defaultFrom.empty())
            env[name] = defaultFrom(setting.defaultFrom, context);
        else if (setting.byDefault)
            env[name] = context.plugin.value(*setting.byDefault);
    }
}

/// The folder that a library finds again. The mirrors are git's alone.
std::string cacheOf(const Plugin& plugin, const OrderDefaults& defaults)
{
    return (plugin.name == "git" ? defaults.mirrors : defaults.mirrors / plugin.name).string();
}

SandboxOrder sandboxOf(const OrderContext& context, const OrderDefaults& defaults)
{
    const IsolationPolicy& isolation = defaults.isolation;
    const std::filesystem::path runFolder = context.attemptFolder.parent_path().parent_path();
    SandboxOrder sandbox{.program = isolation.bubblewrap.string(),
                         .network = context.pipeline.network,
                         .home = (runFolder / "home").string(),
                         .hidden = isolation.hidden,
                         .binds = context.pipeline.binds};
    for (const std::string& folder : isolation.shown)
        sandbox.shown.push_back({.path = folder});
    sandbox.shown.push_back({.path = context.plugin.folder.string()});
    if (context.plugin.kind == Plugin::Kind::Library && !fetchesOutside(context.plugin, defaults))
        sandbox.shown.push_back({.path = cacheOf(context.plugin, defaults), .writable = true});
    return sandbox;
}

/// The credential of the service's repository: its value is a secret of this stage, which reaches the plugin alone.
void addCredential(Order& order, const PipelineSpec& pipeline)
{
    const GitCredential& git = pipeline.git;
    if (git.none())
        return;
    const std::string& name = git.token.empty() ? git.sshKey : git.token;
    if (std::find(order.secrets.begin(), order.secrets.end(), name) == order.secrets.end())
        order.secrets.push_back(name);
    order.env["STAGE_AGENT_CREDENTIAL"] = name;
    order.env["STAGE_AGENT_CREDENTIAL_FOR"] = pipeline.repository;
    if (git.token.empty())
        order.env["STAGE_AGENT_KNOWN_HOSTS"] = git.knownHosts;
    else
        order.env["STAGE_AGENT_CREDENTIAL_USER"] = git.user;
}

/// What of the stage is collected; nothing where nothing is asked for.
std::optional<CollectOrder> collectOf(const OrderContext& context, const CollectPolicy& policy)
{
    const ArtifactSpec& artifacts = context.spec.artifacts;
    if (policy.program.empty() || (artifacts.paths.empty() && context.spec.reports.junit.empty()))
        return std::nullopt;
    return CollectOrder{.program = policy.program.string(),
                        .store = policy.store.string(),
                        .name = artifactNameOf(context.spec),
                        .paths = artifacts.paths,
                        .junit = context.spec.reports.junit,
                        .when = artifacts.when,
                        .required = artifacts.required,
                        .maxBytes = policy.maxBytes,
                        .maxFiles = policy.maxFiles,
                        .timeoutMs = policy.timeoutMs};
}

/// What the agent tells its git plugin, and no service may.
void addSurroundings(Order& order, const OrderContext& context, const OrderDefaults& defaults)
{
    if (const auto& file = context.pipeline.file; file && context.stage.ordinal == 0)
    {
        order.env["STAGE_AGENT_PIPELINE"] = file->path;
        order.env["STAGE_AGENT_PIPELINE_COPY"] = (context.attemptFolder / pipelineCopy).string();
    }
    order.env["HOME"] =
        defaults.inherited.home; // of ssh keys and credentials; the checkout has the run's
    if (!defaults.gitConfig.empty())
        order.env["STAGE_AGENT_GIT_CONFIG"] = defaults.gitConfig.string();
    if (order.sandbox && !defaults.isolation.noneIsPossible())
        order.env["STAGE_AGENT_TRUSTED_MIRRORS"] = "1";
    addCredential(order, context.pipeline);
    if (const auto& fork = context.pipeline.fork)
    {
        order.env["STAGE_AGENT_FORK_OF"] = fork->base.empty() ? "HEAD" : fork->base;
        order.env["STAGE_AGENT_PIPELINE_REF"] =
            fork->base.empty() ? "HEAD" : "refs/heads/" + fork->base; // its file, not the fork's
    }
    const auto& with =
        context.spec.with; // a stage that says what it checks out is not about the run's commit
    if (!with.contains("ref") && !with.contains("repository"))
        if (const auto branch = branchToProve(context.pipeline, context.run); !branch.empty())
            order.env["STAGE_AGENT_BRANCH_OF_COMMIT"] = branch;
    if (!with.contains("ref") && !with.contains("repository"))
        if (const auto branch = branchToTell(context.pipeline, context.run); !branch.empty())
            order.env["STAGE_AGENT_BRANCH_TO_TELL"] = branch;
}

} // namespace

bool fetchesOutside(const Plugin& plugin, const OrderDefaults& defaults)
{
    std::error_code error;
    return plugin.name == "git" && plugin.kind == Plugin::Kind::Library &&
           std::filesystem::equivalent(
               plugin.folder, defaults.pluginHost.parent_path() / "plugins" / "git", error);
}

InheritedEnvironment InheritedEnvironment::ofThisProcess()
{
    InheritedEnvironment inherited;
    const auto take = [](const char* name, std::string& into)
    {
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0')
            into = value;
    };
    take("PATH", inherited.path);
    take("HOME", inherited.home);
    take("LANG", inherited.lang);
    return inherited;
}

Order buildOrder(const OrderContext& context, const OrderDefaults& defaults)
{
    const auto& [run, stage, spec, pipeline, plugin, outputs, workspace, folder] = context;
    Order order;
    order.runId = run.id;
    order.stageId = stage.id;
    order.attempt = stage.attempt;
    order.plugin = plugin.name;
    order.pluginFolder = plugin.folder.string();
    order.pluginSha256 = plugin.sha256;
    order.pluginIdentity = plugin.identity;
    order.library = plugin.kind == Plugin::Kind::Library;
    order.secrets = secretsFor(pipeline, spec, run).given;
    order.masks = masksOf(pipeline);
    order.cwd = workspace.string();
    order.timeoutMs = spec.timeoutMs.value_or(defaults.timeoutMs);
    order.silenceMs = spec.silenceMs.value_or(0);
    order.graceMs = spec.graceMs.value_or(defaults.graceMs);
    order.logMaxBytes = defaults.logMaxBytes;
    order.limits = spec.limits;
    order.umask = defaults.umask;
    order.output = spec.output;
    order.knowsLeftBehind = true;
    order.collect = collectOf(context, defaults.collect);

    auto& env = order.env;
    env = pipeline.env; // first: what the agent says of the stage can't be overridden
    // A library runs in a program of the agent's own: a pipeline must not choose what that loads.
    if (order.library)
        std::erase_if(env, [](const auto& variable) { return steersTheProcess(variable.first); });
    env.try_emplace("PATH", defaults.inherited.path);
    if (defaults.isolation.of(pipeline, run.trigger) == Isolation::Sandbox)
    {
        order.version = sandboxOrderVersion;
        order.sandbox = sandboxOf(context, defaults);
        if (order.limits.pids > 0)
            order.limits.pids += sandboxProcesses;
    }
    env.try_emplace("HOME", order.sandbox ? order.sandbox->home : defaults.inherited.home);
    env.try_emplace("LANG", defaults.inherited.lang);
    for (const auto& [name, value] : outputs)
        env[outputVariable(name)] = value;
    addSettings(env, context);
    env["CI"] = "true";
    env["STAGE_ID"] = stage.id;
    env["STAGE_TYPE"] = std::string(toString(stage.type));
    env["STAGE_ATTEMPT"] = std::to_string(stage.attempt);
    env["RUN_ID"] = run.id;
    env["SERVICE_NAME"] = run.serviceName;
    env["COMMIT_HASH"] = run.commitHash;
    env["BRANCH"] = run.branch.empty() ? pipeline.branch : run.branch;
    env["WORKSPACE"] = workspace.string();
    env["STAGE_OUTPUTS"] = (folder / files::outputs).string();
    env["STAGE_MASK"] = (folder / files::mask).string();
    order.outside = fetchesOutside(plugin, defaults);
    if (order.outside)
        addSurroundings(order, context, defaults);
    if (order.library)
        order.argv = {defaults.pluginHost.string(), plugin.library.string(),
                      cacheOf(plugin, defaults)};
    else
        order.argv = plugin.argv(env);
    return order;
}

std::map<std::string, std::string> readOutputs(const std::filesystem::path& file)
{
    if (!std::filesystem::exists(std::filesystem::symlink_status(file)))
        return {};
    try
    {
        const std::string json = readSmallFile(file, outputsLimit);
        return json.empty() ? std::map<std::string, std::string>() : parseOutputs(json);
    }
    catch (const std::runtime_error& error)
    {
        throw std::runtime_error("the file of $STAGE_OUTPUTS can't be used: " +
                                 std::string(error.what()));
    }
}

void takeOutputs(Run& run, Stage& stage, const std::map<std::string, std::string>& before,
                 const std::filesystem::path& folder, const std::vector<std::string>& secretNames,
                 const SecretFolder& secrets)
{
    auto outputs = readOutputs(folder / files::outputs);
    for (auto& [name, value] : outputs)
        value = masked(value, secretNames, secrets);
    const auto again = outputsFromJson(stage.outputs); // of this stage before it was executed again
    stage.outputs = outputsToJson(outputs);
    if (stage.plugin != "git")
        return;
    if (const auto commit = outputs.find("commitHash"); commit != outputs.end())
        run.commitHash = fittedText(commit->second, bounds::name);
    const auto describe = [&](const char* name, std::string& into, std::size_t most)
    {
        const auto writtenBy = [&](const std::map<std::string, std::string>& earlier)
        {
            const auto value = earlier.find(name);
            return value != earlier.end() && into == fittedText(value->second, most);
        };
        const auto value = outputs.find(name);
        if (value != outputs.end() && (into.empty() || writtenBy(again) || writtenBy(before)))
            into = fittedText(value->second, most);
    };
    describe("commitMessage", run.commitMessage, bounds::commitMessage);
    describe("committer", run.committer, bounds::committer);
}

std::map<std::string, std::string> outputsBefore(int ordinal, const std::vector<Stage>& stages)
{
    std::map<std::string, std::string> outputs;
    for (const auto& earlier : stages)
        if (earlier.ordinal < ordinal)
            for (auto& [name, value] : outputsFromJson(earlier.outputs))
                if (earlier.plugin != "git" || name != recentCommits)
                    outputs[name] = value;
    return outputs;
}

std::string outputsToJson(const std::map<std::string, std::string>& outputs)
{
    if (outputs.empty())
        return "";
    rapidjson::StringBuffer buffer;
    rapidjson::Writer writer(buffer);
    writer.StartObject();
    for (const auto& [name, value] : outputs)
    {
        writer.Key(name.c_str());
        writer.String(value);
    }
    writer.EndObject();
    return buffer.GetString();
}

std::map<std::string, std::string> outputsFromJson(const std::string& json)
{
    return json.empty() ? std::map<std::string, std::string>() : parseOutputs(json);
}

} // namespace agent
