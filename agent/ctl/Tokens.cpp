// `stagectl token …` and `stagectl dashboard`.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"
#include "agent/model/Timestamp.h"
#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/program/Program.h"

#include <Poco/String.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>

namespace agent::ctl
{

namespace
{

/// A point in time, given as such or as a span from now on. Errors: Failure Usage.
std::string expiryOf(const std::string& given)
{
    const bool bare = given.find_first_not_of("0123456789") == std::string::npos;
    if (const auto span = parseDurationMs(given); span && !bare && *span > 0)
        return formatTime(nowMs() + *span);
    if (const auto time = parseTime(given, Zone::Any))
        return formatTime(*time);
    throw Failure(Exit::Usage, "--expires takes a span such as 30d or 12h, or a time such as "
                               "2026-03-20T17:17:13Z, not '" +
                                   visible(given) + "'");
}

std::string listJson(const std::vector<std::string>& texts)
{
    std::string list;
    for (const auto& text : texts)
        list += (list.empty() ? "" : ",") + quoted(text);
    return "[" + list + "]";
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// A page that only this user can read and that leads to `address`: on a command line every user of the host
/// could read the code. Returns its path; empty when there is no place for it.
std::string pageLeadingTo(const std::string& address)
{
    const std::string folder = environment("XDG_RUNTIME_DIR");
    if (folder.empty())
        return "";
    std::string target;
    for (const char c : address)
        target += c == '"' ? "%22" : c == '<' ? "%3C" : c == '&' ? "&amp;" : std::string(1, c);
    std::string file = folder + "/stagectl-dashboard.html";
    const FileDescriptor fd = createFile(file, O_WRONLY);
    const std::string page = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" "
                             "content=\"0; url=" +
                             target + "\"><title>stage-agent</title>";
    return fd.valid() && writeAll(fd.get(), page) ? file : "";
}

/// Opens the address in the browser of a desktop. Returns whether it was tried.
bool openBrowser(const std::string& address)
{
    if (environment("DISPLAY").empty() && environment("WAYLAND_DISPLAY").empty())
        return false;
    const auto opener = findProgram("xdg-open", environment("PATH"));
    const std::string page = opener.empty() ? "" : pageLeadingTo(address);
    return !page.empty() && runProgram({.argv = {opener.string(), page}}).passed();
}

} // namespace

const Client& theAgent(const Session& session, const std::string& verb)
{
    if (session.agents.several())
        throw Failure(Exit::Usage, verb + " concerns one agent: give its address with --agent URL");
    return session.agents.all().front().client;
}

Exit createToken(const Session& session, const TokenRequest& request)
{
    const Client& client = theAgent(session, "token create");
    ObjectWriter body;
    body.add("name", request.name).add("role", request.role);
    if (!request.services.empty())
        body.addJson("services", listJson(request.services));
    if (!request.expires.empty())
        body.add("expiresAt", expiryOf(request.expires));
    if (request.proxy)
        body.addJson("proxy", "true");
    const Answer answer =
        client.ask({.method = "POST", .path = "/api/tokens", .body = body.done()});
    const auto token = objectOf(answer);
    if (session.json)
        printDocument(session, answer.body);
    else if (request.quiet)
        writeOut(text(token, "token") + "\n");
    else
    {
        writeOut(described(session.terminal, token));
        note("the token is shown only now; for stagectl: a file of mode 0600, and --token-file");
    }
    return Exit::Ok;
}

Exit listTokens(const Session& session)
{
    const Listing tokens(session.agents, Listing::Of::Lists,
                         [](const Client& client) { return client.ask({.path = "/api/tokens"}); });
    if (session.json)
        return tokens.end(session.document(tokens.json()));
    Table table(tokens.headings({"TOKEN", "ROLE", "SERVICES", "EXPIRES", "USED", "CREATED"}));
    for (const Entry& entry : tokens.entries())
    {
        const rapidjson::Value& token = *entry.value;
        const rapidjson::Value* services = member(token, "services");
        const bool narrowed = services != nullptr && services->IsArray() && !services->Empty();
        table.add(tokens.row(
            entry, {text(token, "name"),
                    text(token, "role") + (text(token, "proxy") == "true" ? " (proxy)" : ""),
                    narrowed ? asText(*services) : "all", timeCell(token, "expiresAt"),
                    timeCell(token, "lastUsedAt"), timeCell(token, "createdAt")}));
    }
    return tokens.end(table.render(session.terminal));
}

Exit revokeToken(const Session& session, const std::string& name)
{
    const Client& client = theAgent(session, "token revoke");
    const Answer answer = client.ask({.method = "DELETE", .path = "/api/tokens/" + encoded(name)});
    if (session.json)
        printDocument(session, answer.body);
    else
        writeOut("revoked " + visible(name) + "\n");
    return Exit::Ok;
}

Exit openDashboard(const Session& session, bool onlyPrint)
{
    const Client& client = theAgent(session, "dashboard");
    const Answer answer = client.ask({.method = "POST", .path = "/api/dashboard/codes"});
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    const auto invitation = objectOf(answer);
    // The address that led here leads the browser as well, unless it is a socket's.
    const std::string base =
        client.url().starts_with("http") ? client.url() : text(invitation, "url");
    const std::string address = base + "/#code=" + text(invitation, "code");
    writeOut(address + "\n");
    if (session.terminal.interactive && !onlyPrint)
        openBrowser(address);
    if (session.terminal.interactive)
        note("good once, for a minute");
    return Exit::Ok;
}

} // namespace agent::ctl
