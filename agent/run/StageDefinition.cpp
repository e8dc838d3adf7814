#include "agent/run/StageDefinition.h"

#include "agent/run/OrderBuilder.h"
#include "agent/run/Pipeline.h"
#include "agent/run/SecretGrants.h"

#include <algorithm>
#include <exception>
#include <string_view>
#include <system_error>

namespace agent
{

std::string withoutCredentials(const std::string& text)
{
    constexpr std::string_view scheme = "://";
    std::string result;
    std::size_t from = 0;
    for (auto at = text.find(scheme); at != std::string::npos; at = text.find(scheme, from))
    {
        const std::size_t host = at + scheme.size();
        const std::size_t end = std::min(text.find_first_of("/ \t\n'\"", host), text.size());
        const std::size_t sign = text.substr(host, end - host).rfind('@');
        result.append(text, from, host - from);
        if (sign != std::string::npos)
            result += "***";
        from = sign == std::string::npos ? host : host + sign;
    }
    return result.append(text, from, std::string::npos);
}

std::optional<StageDefinition> definitionOf(const std::filesystem::path& workspace, const Run& run,
                                            const Stage& stage, const StageDefaults& defaults)
{
    try
    {
        const Pipeline pipeline = Pipeline::fromJson(run.pipeline);
        const PipelineSpec& spec = pipeline.spec();
        const StageSpec& of = spec.stages.at(static_cast<std::size_t>(stage.ordinal));
        StageSecrets secrets = secretsFor(spec, of, run);
        StageDefinition definition{.secrets = std::move(secrets.given),
                                   .secretsWithheld = std::move(secrets.withheld),
                                   .workspaceMode = spec.workspace,
                                   .timeoutMs = of.timeoutMs.value_or(defaults.timeoutMs),
                                   .graceMs = of.graceMs.value_or(defaults.graceMs),
                                   .attempts = of.retry.attempts,
                                   .approval = of.approval.required};
        for (const auto& [name, setting] : of.with)
            definition.with[name] =
                withoutCredentials(masked(setting.text, allSecrets(spec), defaults.secrets));
        for (const auto& [name, value] : spec.env)
            definition.environment.push_back(name);
        std::error_code gone;
        if (std::filesystem::is_directory(workspace, gone))
            definition.workspace = workspace.string();
        return definition;
    }
    catch (const std::exception&) // its row holds no pipeline, or a shorter one
    {
        return std::nullopt;
    }
}

} // namespace agent
