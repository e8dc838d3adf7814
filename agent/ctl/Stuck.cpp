// `stagectl stuck`: stages reported as stuck, since when and why, with their processes and last lines.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/ProcessTable.h"
#include "agent/ctl/Text.h"

#include <string_view>

namespace agent::ctl
{

namespace
{

constexpr std::string_view indent = "    ";

std::string stuckText(const Terminal& terminal, const rapidjson::Value& stage)
{
    const std::string service = text(stage, "service");
    const auto reported = parseTime(text(stage, "stuckSince"));
    std::string out = idCell(terminal, text(stage, "id"));
    out.append("  ").append(visible(text(stage, "name")));
    if (!service.empty())
        out.append(" of ").append(visible(service));
    out.append(", run ").append(idCell(terminal, text(stage, "runId")));
    out.append(": ").append(visible(text(stage, "stuckWhy")));
    if (reported)
        out.append(" (reported at ").append(clockTime(*reported)).append(")");
    out += "\n";
    const rapidjson::Value* processes = member(stage, "processes");
    if (processes != nullptr && processes->IsArray() && !processes->Empty())
        out += processTable(terminal, *processes, indent.size());
    else
        out.append(indent).append("no processes left\n");
    if (const rapidjson::Value* lines = member(stage, "lastLines");
        lines != nullptr && lines->IsArray())
        for (const rapidjson::Value& line : lines->GetArray())
            out.append(indent).append("| ").append(visible(asText(line))).append("\n");
    return out;
}

} // namespace

Exit listStuck(const Session& session)
{
    const Listing stages(session.agents, Listing::Of::Lists,
                         [](const Client& client) { return client.ask({.path = "/api/stuck"}); });
    if (session.json)
        return stages.end(session.document(stages.json()));
    std::string out = stages.entries().empty() ? "no stage is stuck\n" : "";
    for (const Entry& entry : stages.entries())
        out += stages.host(entry, "  ") + stuckText(session.terminal, *entry.value);
    if (!stages.entries().empty() && session.terminal.interactive)
        out += "\nTo end one: stagectl patch STAGE failure --reason TEXT "
               "(or success, to go on with the next stage)\n";
    return stages.end(out);
}

} // namespace agent::ctl
