#include "agent/doctor/Checks.h"
#include "agent/program/Program.h"
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

/// plugins/git/Git.cpp uses `rev-parse --end-of-options`, which works since 2.30.
constexpr int minGit[] = {2, 30};

bool openToOthers(const fs::path& path)
{
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 && (info.st_mode & 077U) != 0;
}

/// Returns the command that restricts access. It also sets the owner: the agent could not read root's file.
std::string restrictCommand(const std::string& path, const std::string& mode, const User& owner)
{
    return "chown " + owner.name + " " + path + " && chmod " + mode + " " + path;
}

/// Returns the names of the secrets, each with a service that uses it.
std::map<std::string, std::string> secretsOf(const ServiceCatalog& services)
{
    std::map<std::string, std::string> wanted;
    for (const auto& service : services.all())
        for (const auto& name : allSecrets(service->pipeline))
            wanted.emplace(name, service->name);
    return wanted;
}

/// Returns whether the secret can be used.
bool checkSecret(const std::string& name, const std::string& service, const Context& context,
                 Findings& findings)
{
    const fs::path& folder = context.setup.config.secretsDir;
    const std::string usedBy = " (for the service " + service + ")";
    const std::string file = (folder / name).string();
    try
    {
        readSecrets({name}, folder);
        for (const auto& line : doubtfulSecrets({name}, folder))
            findings.warn("secrets", line + usedBy, "write another one to " + file);
    }
    catch (const std::runtime_error& error) // it never contains the value
    {
        findings.fail("secrets", error.what() + usedBy,
                      "write it to " + file +
                          ", mode 0600, owned by the agent's user; it is read "
                          "at each launch");
        return false;
    }
    return true;
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

/// Returns whether the version in `git version 2.39.5` is at least minGit.
bool isRecent(const std::string& output)
{
    const char* at = output.data();
    const char* const end = at + output.size();
    at = std::find_if(at, end, [](char c) { return c >= '0' && c <= '9'; });
    int found[2] = {0, 0};
    for (int& number : found)
    {
        at = std::from_chars(at, end, number).ptr;
        at += at != end ? 1 : 0; // the dot
    }
    return !std::lexicographical_compare(std::begin(found), std::end(found), std::begin(minGit),
                                         std::end(minGit));
}

} // namespace

void checkSecrets(const Context& context, const ServiceCatalog& services, Findings& findings)
{
    const fs::path& folder = context.setup.config.secretsDir;
    const auto wanted = secretsOf(services);
    std::error_code error;
    if (!fs::is_directory(folder, error))
    {
        if (wanted.empty())
            return findings.ok("secrets", "no service uses any");
        return findings.fail("secrets",
                             folder.string() + " does not exist, but services use " +
                                 std::to_string(wanted.size()) + " secrets",
                             "as root: install -d -m 700 -o " + context.user.name + " " +
                                 folder.string() + ", or set secrets.dir");
    }
    bool ok = !openToOthers(folder);
    if (!ok)
        findings.warn("secrets", folder.string() + " is accessible to others",
                      restrictCommand(folder.string(), "700", context.agents));
    for (const auto& [name, service] : wanted)
        ok = checkSecret(name, service, context, findings) && ok;
    if (ok)
        findings.ok("secrets",
                    std::to_string(wanted.size()) + " used by services, all in " + folder.string());
}

void checkGit(const ServiceCatalog* services, Findings& findings)
{
    const auto report = [&](const std::string& seen)
    {
        const std::string advice = "apt install git (2.30 or newer)";
        if (services != nullptr && usesGit(*services))
            findings.fail("git", seen, advice);
        else
            findings.warn("git", seen + (services != nullptr ? "; no service uses it" : ""),
                          advice);
    };
    const std::string path = InheritedEnvironment::ofThisProcess().path;
    const auto program = findProgram("git", path);
    if (program.empty())
        return report("not found in " + path);
    try
    {
        const auto end = runProgram({.argv = {program.string(), "--version"}});
        const std::string version = end.out.substr(0, end.out.find('\n'));
        if (!end.passed())
            report(program.string() + " --version: " + end.describe());
        else if (!isRecent(version))
            report(program.string() + " is too old: " + version);
        else
            findings.ok("git", program.string() + ", " + version);
    }
    catch (const std::system_error& error)
    {
        report(error.what());
    }
}

} // namespace agent::doctor
