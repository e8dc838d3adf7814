#include "plugins/git/Fetch.h"

#include "plugins/git/Url.h"

namespace agent::git::command
{

namespace
{

constexpr const char* noFiles = "blob:none";

void add(Arguments& argv, const Arguments& more)
{
    argv.insert(argv.end(), more.begin(), more.end());
}

/// Returns the settings that make a repository a partial clone, for one command.
Arguments partial(const std::string& filter)
{
    return {"-c", "remote.stage-agent.promisor=true", "-c",
            "remote.stage-agent.partialclonefilter=" + filter};
}

struct Source
{
    std::string repository;
    std::string filter;
};

/// `where`: the repository that is fetched into. By the name of a remote git would else note the address, with its password,
/// as one that it may ask later.
Arguments fetch(const Arguments& where, const Source& source, const Arguments& options,
                const Arguments& what)
{
    const bool filtered = !source.filter.empty();
    Arguments argv;
    if (filtered)
    {
        add(argv, partial(source.filter));
        add(argv, {"-c", "remote.stage-agent.url=" + source.repository});
        // What this command misses git would fetch by the same settings, and miss it again there, without end: from a shallow
        // repository (2.39). Only this command has the option that takes the place of this setting.
        add(argv, {"-c", "remote.stage-agent.uploadpack=false"});
    }
    add(argv, where);
    add(argv, {"fetch", "--no-tags", "--no-write-fetch-head", "--update-shallow"});
    add(argv, options);
    if (filtered)
        add(argv, {"--filter=" + source.filter, "--upload-pack=git-upload-pack"});
    add(argv, {"--end-of-options", filtered ? "stage-agent" : source.repository});
    add(argv, what);
    return line(argv);
}

} // namespace

Arguments actualUrl(const std::string& mirror, const std::string& repository)
{
    return line({"--git-dir=" + mirror, "ls-remote", "--get-url", "--end-of-options", repository});
}

Arguments askServer(const std::string& mirror, const std::string& url)
{
    return line({"--git-dir=" + mirror, url.starts_with("https:") ? "remote-https" : "remote-http",
                 "stage-agent", url});
}

Arguments fetchAll(const std::string& mirror, const std::string& repository, bool unshallow,
                   const std::string& filter)
{
    Arguments options{"--progress", "--prune"};
    if (unshallow)
        options.emplace_back("--unshallow");
    return fetch({"--git-dir=" + mirror}, {.repository = repository, .filter = filter}, options,
                 {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"});
}

Arguments fetchRef(const std::string& mirror, const std::string& repository,
                   const std::string& fullRef, const std::string& filter)
{
    return fetch({"--git-dir=" + mirror}, {.repository = repository, .filter = filter},
                 {"--progress"}, {"+" + fullRef + ":" + fullRef});
}

Arguments fetchCommit(const std::string& mirror, const std::string& repository,
                      const std::string& commit, const std::string& filter)
{
    // Without a ref a later gc could drop the commit while a run still needs it.
    return fetch({"--git-dir=" + mirror}, {.repository = repository, .filter = filter},
                 {"--progress"}, {"+" + commit + ":refs/stage-agent/" + commit});
}

Arguments listMissing(const std::string& mirror, const std::string& commit, const std::string& path)
{
    Arguments argv{"--literal-pathspecs", "--git-dir=" + mirror, "rev-list", "--objects", "--quiet",
                   "--missing=print",     commit + "^{tree}",    "--"};
    if (!path.empty())
        argv.push_back(path);
    return line(argv);
}

Arguments fetchFiles(const std::string& mirror, const std::string& repository)
{
    // What is here helps the server to save nothing: these are files that no commit here has.
    return fetch({"-c", "fetch.negotiationAlgorithm=noop", "--git-dir=" + mirror},
                 {.repository = repository, .filter = noFiles}, {"--progress", "--stdin"}, {});
}

Arguments walkFolders(const std::string& mirror, const std::string& from)
{
    return line(
        {"--git-dir=" + mirror, "rev-list", "--objects", "--quiet", "--filter=blob:none", from});
}

Arguments verifyMirror(const std::string& mirror, const std::string& filter)
{
    Arguments argv;
    if (!filter.empty())
        add(argv, partial(filter));
    add(argv, {"--git-dir=" + mirror, "fsck", "--no-dangling", "--no-progress"});
    return line(argv);
}

Arguments fetchFromMirror(const std::string& workspace, const std::string& mirror,
                          const std::string& commit, int depth, bool withoutFiles)
{
    Arguments options{"--quiet"};
    if (withoutFiles)
        options.emplace_back("--no-auto-maintenance"); // it would take what is left out for lost
    if (depth > 0)
        options.push_back("--depth=" + std::to_string(depth));
    // Over git's protocol: a path would be one whose depth counts for nothing.
    return fetch(
        {"-C", workspace},
        {.repository = depth > 0 ? fileUrl(mirror) : mirror, .filter = withoutFiles ? noFiles : ""},
        options, {commit});
}

Arguments topFolder(const std::string& mirror, const std::string& commit)
{
    return line(
        {"--git-dir=" + mirror, "rev-parse", "--verify", "--end-of-options", commit + "^{tree}"});
}

Arguments fetchFolder(const std::string& workspace, const std::string& mirror,
                      const std::string& folder)
{
    return fetch({"-C", workspace}, {.repository = mirror, .filter = ""},
                 {"--quiet", "--no-auto-maintenance", "--refetch"}, {folder});
}

} // namespace agent::git::command
