#include "agent/doctor/Checks.h"
#include "agent/process/Program.h"
#include "agent/run/OrderBuilder.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <stdexcept>

#include <sys/stat.h>

namespace agent::doctor
{

namespace fs = std::filesystem;

namespace
{

/// plugins/git/Git.cpp asks for `rev-parse --end-of-options`, which 2.30 was the first to do right.
constexpr int oldestGit[] = {2, 30};

bool openToOthers(const fs::path& path)
{
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 && (info.st_mode & 077U) != 0;
}

/// Its owner too: closed as root's, the agent could not read it any more.
std::string closing(const std::string& path, const std::string& mode, const User& owner)
{
    return "chown " + owner.name + " " + path + " && chmod " + mode + " " + path;
}

/// The secrets' names, each with a service that wants it.
std::map<std::string, std::string> secretsOf(const ServiceCatalog& services)
{
    std::map<std::string, std::string> wanted;
    for (const auto& service : services.all())
        for (const auto& name : service->pipeline.secrets)
            wanted.emplace(name, service->name);
    return wanted;
}

/// Shape: whether all is well with this one.
bool checkSecret(const std::string& name, const std::string& service, const Visit& visit,
                 Findings& findings)
{
    const fs::path& folder = visit.setup.config.secretsDir;
    const std::string forWhom = " (for the service " + service + ")";
    const std::string file = (folder / name).string();
    try
    {
        readSecrets({name}, folder);
    }
    catch (const std::runtime_error& error) // it names the secret and never its value
    {
        findings.fail("secrets", error.what() + forWhom,
                      "write it with mode 0600 for the agent's user to " + file +
                          "; it is read at each launch");
        return false;
    }
    if (!openToOthers(file))
        return true;
    findings.warn("secrets", file + " is open to others" + forWhom,
                  closing(file, "600", visit.agents));
    return false;
}

bool usesGit(const ServiceCatalog& services)
{
    const auto all = services.all();
    return std::any_of(all.begin(), all.end(),
                       [](const auto& service)
                       {
                           const auto& stages = service->pipeline.stages;
                           return std::any_of(stages.begin(), stages.end(),
                                              [](const StageSpec& stage)
                                              { return stage.plugin == "git"; });
                       });
}

/// `git version 2.39.5`. Shape: whether it is new enough.
bool newEnough(const std::string& said)
{
    const char* at = said.data();
    const char* const end = at + said.size();
    at = std::find_if(at, end, [](char c) { return c >= '0' && c <= '9'; });
    int found[2] = {0, 0};
    for (int& number : found)
    {
        at = std::from_chars(at, end, number).ptr;
        at += at != end ? 1 : 0; // the dot
    }
    return !std::lexicographical_compare(std::begin(found), std::end(found), std::begin(oldestGit),
                                         std::end(oldestGit));
}

} // namespace

void checkSecrets(const Visit& visit, const ServiceCatalog& services, Findings& findings)
{
    const fs::path& folder = visit.setup.config.secretsDir;
    const auto wanted = secretsOf(services);
    std::error_code error;
    if (!fs::is_directory(folder, error))
    {
        if (wanted.empty())
            return findings.ok("secrets", "no service wants one");
        return findings.fail("secrets",
                             folder.string() + " is not there, but services name " +
                                 std::to_string(wanted.size()) + " secrets",
                             "as root: install -d -m 700 -o " + visit.user.name + " " +
                                 folder.string() + ", or set secrets.dir");
    }
    bool well = !openToOthers(folder);
    if (!well)
        findings.warn("secrets", folder.string() + " is open to others",
                      closing(folder.string(), "700", visit.agents));
    for (const auto& [name, service] : wanted)
        well = checkSecret(name, service, visit, findings) && well;
    if (well)
        findings.ok("secrets", std::to_string(wanted.size()) + " that services name, all in " +
                                   folder.string());
}

void checkGit(const ServiceCatalog* services, Findings& findings)
{
    const auto tell = [&](const std::string& seen)
    {
        const std::string advice = "apt install git (2.30 or newer)";
        if (services != nullptr && usesGit(*services))
            findings.fail("git", seen, advice);
        else
            findings.warn("git", seen + (services != nullptr ? "; no service uses it" : ""),
                          advice);
    };
    const auto program = findProgram("git", standardPath);
    if (program.empty())
        return tell(std::string("not found in ") + standardPath);
    try
    {
        const auto end = runProgram({.argv = {program.string(), "--version"}});
        const std::string said = end.out.substr(0, end.out.find('\n'));
        if (!end.passed())
            tell(program.string() + " --version: " + end.describe());
        else if (!newEnough(said))
            tell(program.string() + " is too old: " + said);
        else
            findings.ok("git", program.string() + ", " + said);
    }
    catch (const std::system_error& error)
    {
        tell(error.what());
    }
}

} // namespace agent::doctor
