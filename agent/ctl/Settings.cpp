#include "agent/ctl/Settings.h"

#include "agent/ctl/Address.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/HttpConnection.h"
#include "agent/ctl/LocalToken.h"
#include "agent/ctl/Text.h"

#include <Poco/String.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace agent::ctl
{

namespace
{

constexpr const char* defaultAgent = "http://127.0.0.1:7824";

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::vector<std::string> words(const std::string& text)
{
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

/// Errors: Failure Usage, its message prefixed by `where`, if the address is malformed.
void checkAddress(const std::string& url, const std::string& where)
{
    try
    {
        (void)parseAddress(url);
    }
    catch (const Failure& failure)
    {
        throw Failure(failure.exit(), where + failure.what());
    }
}

struct File
{
    std::string path;
    std::vector<std::string> agents;
    std::string tokenFile;
    std::string caFile;
};

File readFile()
{
    File file;
    std::string folder = environment("XDG_CONFIG_HOME");
    const std::string home = environment("HOME");
    if (folder.empty() && home.empty())
        return file;
    if (folder.empty())
        folder = home + "/.config";
    file.path = folder + "/stagectl";

    std::ifstream lines(file.path);
    std::string line;
    for (int count = 1; std::getline(lines, line); ++count)
    {
        if (const std::string mark = "\xef\xbb\xbf"; count == 1 && line.starts_with(mark))
            line.erase(0, mark.size());
        const std::string text = Poco::trim(line);
        if (text.empty() || text.front() == '#')
            continue;
        const std::size_t equals = text.find('=');
        const std::string key = Poco::trim(text.substr(0, equals));
        std::string value = equals == std::string::npos ? "" : Poco::trim(text.substr(equals + 1));
        const std::string where = visible(file.path) + ":" + std::to_string(count) + ": ";
        if (!value.empty() && key == "agent")
        {
            value = addressUrl(value);
            checkAddress(value, where);
            file.agents.push_back(value);
        }
        else if (!value.empty() && (key == "token-file" || key == "ca-file"))
            (key == "ca-file" ? file.caFile : file.tokenFile) =
                value.starts_with("~/") ? home + value.substr(1) : value;
        else
            throw Failure(Exit::Usage, where + "expected `agent = URL`, `token-file = PATH` or "
                                               "`ca-file = PATH`");
    }
    return file;
}

/// Where an agent of this host listens: the package's first, then one that has its defaults.
std::vector<std::string> socketsOfThisHost()
{
    std::vector<std::string> sockets{"/run/stage-agent/api.sock", "/var/lib/stage-agent/api.sock"};
    const std::string state = environment("XDG_STATE_HOME");
    const std::string home = environment("HOME");
    if (state.starts_with('/'))
        sockets.push_back(state + "/stage-agent/api.sock");
    else if (!home.empty())
        sockets.push_back(home + "/.local/state/stage-agent/api.sock");
    return sockets;
}

std::string checkedToken(const std::string& text, const std::string& from)
{
    std::string token = Poco::trim(text);
    // A line break would begin another header.
    const bool plain = std::all_of(token.begin(), token.end(),
                                   [](unsigned char c) { return c > 0x20 && c < 0x7F; });
    if (token.empty() || !plain)
        throw Failure(Exit::Usage, visible(from) + (token.empty() ? " holds no token"
                                                                  : " holds more than one token"));
    return token;
}

std::string tokenFrom(const std::string& path)
{
    std::ifstream file(path);
    if (!file)
        throw Failure(Exit::Usage, "can't read the token file " + visible(path));
    // As ssh checks keys. A group may share a token; a pipe is private.
    const auto status = std::filesystem::status(path);
    if (status.type() == std::filesystem::file_type::regular &&
        (status.permissions() & std::filesystem::perms::others_all) != std::filesystem::perms::none)
        throw Failure(Exit::Usage,
                      "the token file " + visible(path) +
                          " is accessible to all users of this host\nchmod o= " + visible(path) +
                          ", and replace the token if it may have been read");
    constexpr std::size_t maxTokenBytes =
        4096; // no token is longer; the option may name the wrong file
    std::string text(maxTokenBytes, '\0');
    file.read(text.data(), static_cast<std::streamsize>(maxTokenBytes));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return checkedToken(text, path);
}

} // namespace

void findAgents(const std::vector<std::string>& options, Settings& settings,
                const std::string& caFileOption)
{
    const File file = readFile();
    std::copy_if(options.begin(), options.end(), std::back_inserter(settings.agents),
                 [](const std::string& url) { return !url.empty(); });
    settings.named = !settings.agents.empty();
    settings.agentsFrom = "--agent";
    const auto orElse = [&](const std::vector<std::string>& urls, const std::string& from)
    {
        if (!settings.agents.empty())
            return;
        settings.agents = urls;
        settings.agentsFrom = from;
    };
    orElse(words(environment("STAGE_AGENT_URL")), "$STAGE_AGENT_URL");
    orElse(file.agents, file.path);
    for (std::string& agent : settings.agents)
        agent = addressUrl(agent);
    settings.caFile = caFileOption.empty() ? file.caFile : caFileOption;
    if (!settings.agents.empty())
        return;
    settings.agentsFrom = "the default";
    std::string refusal;
    for (const std::string& socket : socketsOfThisHost())
        if (settings.agents.empty() && mayOpen(socket, refusal))
            settings.agents = {"unix://" + socket};
    if (settings.agents.empty())
    {
        settings.agents = {defaultAgent};
        settings.agentsFrom += refusal.empty() ? "" : ": " + visible(refusal);
    }
}

void findToken(const std::string& fileOption, Settings& settings)
{
    const File file = readFile();
    const std::string fromEnvironment = environment("STAGE_AGENT_TOKEN");
    settings.tokenFrom = fileOption;
    if (!fileOption.empty())
        settings.token = tokenFrom(fileOption);
    else if (!fromEnvironment.empty())
        settings.token = checkedToken(fromEnvironment, settings.tokenFrom = "$STAGE_AGENT_TOKEN");
    else if (!file.tokenFile.empty())
        settings.token = tokenFrom(settings.tokenFrom = file.tokenFile);
    else if (settings.agents.size() == 1)
        if (const auto local = localToken(settings.agents.front()))
            settings.token = checkedToken(local->token, settings.tokenFrom = local->file);
}

Settings findSettings(const std::vector<std::string>& agentOptions,
                      const std::string& tokenFileOption, const std::string& caFileOption)
{
    Settings settings;
    findAgents(agentOptions, settings, caFileOption);
    findToken(tokenFileOption, settings);
    return settings;
}

} // namespace agent::ctl
