#include "plugins/git/Checkout.h"

#include "plugins/git/Fetch.h"
#include "plugins/git/Url.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

using Environment = std::map<std::string, std::string>;

constexpr std::size_t sha256Digits = 64;

/// Returns whether a file is what Git LFS keeps in a repository in place of the content.
/// Source: git-lfs, docs/spec.md.
bool isPointer(const fs::path& path)
{
    constexpr std::string_view beginning = "version https://git-lfs.github.com/spec/";
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return false;
    std::array<char, beginning.size()> bytes{};
    struct stat info = {};
    const bool regular = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
    const ssize_t got = regular ? read(file, bytes.data(), bytes.size()) : -1;
    close(file);
    return got == static_cast<ssize_t>(bytes.size()) &&
           std::string_view(bytes.data(), bytes.size()) == beginning;
}

/// Adds one more setting to those that `env` hands to git.
void addSetting(Environment& env, const std::string& name, const std::string& value)
{
    const std::string number = env["GIT_CONFIG_COUNT"];
    env["GIT_CONFIG_KEY_" + number] = name;
    env["GIT_CONFIG_VALUE_" + number] = value;
    env["GIT_CONFIG_COUNT"] = std::to_string(std::stoi(number) + 1);
}

/// Returns the id of the commit's topmost folder.
std::string topFolderOf(const Repository& repository, const fs::path& mirror,
                        const std::string& commit)
{
    const Ended ended = repository.run(command::topFolder(mirror, commit));
    std::string id = ended.out.substr(0, ended.out.find('\n'));
    if (!ended.passed() || !isCommit(id))
        throw Failure("git: can't read commit " + commit + " of " + repository.name() + ": " +
                      repository.why(ended));
    return id;
}

} // namespace

Checkout::Checkout(const Surroundings& surroundings, fs::path workspace, CheckoutOptions options)
    : _surroundings(surroundings),
      _workspace(std::move(workspace)),
      _options(std::move(options)),
      _settings(surroundings.checkoutSettings())
{
    if (!_options.lfs)
        _settings["GIT_LFS_SKIP_SMUDGE"] = "1";
}

void Checkout::create(const Repository& repository, const fs::path& mirror,
                      const std::string& commit, bool trusted) const
{
    using Step = KeptTree::Task::Step;
    auto withFilters = checkoutEnvironment(_workspace);
    withFilters.insert(_settings.begin(), _settings.end());
    const bool kept = _options.keep != Keep::Nothing;
    if (kept)
        inTree(Step::Begin, repository, mirror, commit);
    makeRepository(repository, mirror, commit, trusted);
    if (kept)
    {
        inTree(Step::Settle, repository, mirror, commit);
        (void)run(command::refreshIndex(_workspace), mirror, withFilters); // says what differs
    }
    need(command::checkOut(_workspace, commit), repository, mirror, withFilters,
         "check out " + commit + " of " + repository.name());
    if (_options.keep == Keep::Ignored)
        removeUntracked(repository, mirror);
    warnOfPointers(_workspace, mirror);
    if (!_options.filter.any())
        return;
    // The last of all: from now on git fetches from the repository what is missing.
    for (const auto& [name, value] : {std::pair<std::string, std::string>{
                                          "partialclonefilter", _options.filter.specification()},
                                      {"promisor", "true"}})
        need(command::configureOrigin(_workspace, name, value), repository, mirror,
             checkoutEnvironment(_workspace), "create a repository in the workspace");
}

void Checkout::makeRepository(const Repository& repository, const fs::path& mirror,
                              const std::string& commit, bool trusted) const
{
    const auto plain = checkoutEnvironment(_workspace);
    const std::string making = "create a repository in the workspace";
    const auto make = [&](const Arguments& argv) { need(argv, repository, mirror, plain, making); };
    const bool filtered = _options.filter.any();
    // A shallow one git never copies unread.
    const bool unread =
        trusted && _options.depth == 0 && !(filtered && fs::exists(mirror / "shallow"));
    fs::path made = _workspace;
    if (_options.depth > 0)
    {
        make(command::initWorkspace(made, commit.size() == sha256Digits ? "sha256" : "sha1"));
        make(command::addOrigin(made, repository.url()));
    }
    else
    {
        using command::Copying;
        if (_options.keep != Keep::Nothing)
            made /= KeptTree::newRepository; // git clones into an empty folder only
        make(command::clone(mirror, made,
                            unread     ? Copying::Unread
                            : filtered ? Copying::WithoutFiles
                                       : Copying::Read));
        if (filtered && !unread)
        {
            make(command::forgetOrigin(made)); // nothing asks it for what is missing
            make(command::addOrigin(made, repository.url()));
        }
        else
            make(command::setOrigin(made, repository.url()));
    }
    make(command::fetchFromMirror(made, mirror, commit, _options.depth, filtered));
    if (filtered && !unread)
        make(command::fetchFolder(made, mirror, topFolderOf(repository, mirror, commit)));
}

void Checkout::inTree(KeptTree::Task::Step step, const Repository& repository,
                      const fs::path& mirror, const std::string& commit) const
{
    const bool converts =
        std::any_of(_settings.begin(), _settings.end(),
                    [](const auto& setting)
                    { return setting.second == "core.autocrlf" || setting.second == "core.eol"; });
    need(KeptTree::program(), repository, mirror,
         KeptTree::variables({.step = step,
                              .workspace = _workspace,
                              .commit = commit,
                              .keep = _options.keep,
                              .converts = converts}),
         "make the kept workspace as the commit has it");
}

void Checkout::removeUntracked(const Repository& repository, const fs::path& mirror) const
{
    const auto plain = checkoutEnvironment(_workspace);
    if (!run(command::removeUntracked(_workspace), mirror, plain).passed())
        inTree(KeptTree::Task::Step::Remove, repository, mirror, "");
}

void Checkout::add(const fs::path& parent, const Submodule& submodule, const Repository& repository,
                   const fs::path& mirror) const
{
    const fs::path above = _workspace / parent;
    const fs::path folder = above / submodule.path;
    auto env = checkoutEnvironment(above);
    const std::string what = "check out the submodule " + printable(parent / submodule.path) +
                             " of " + repository.name();
    need(command::initSubmodule(above, submodule.path), repository, mirror, env, what);
    env.insert(_settings.begin(), _settings.end());
    // By a URL, so that objects are checked as they come and no file is shared with the mirror.
    addSetting(env, "submodule." + submodule.name + ".url", fileUrl(mirror));
    need(command::checkOutSubmodule(above, submodule.path), repository, mirror, env, what);
    need(command::setOrigin(folder, repository.url()), repository, mirror,
         checkoutEnvironment(folder), what);
    warnOfPointers(folder, mirror);
}

void Checkout::need(const Arguments& argv, const Repository& repository, const fs::path& mirror,
                    const Environment& env, const std::string& what) const
{
    if (const Ended ended = run(argv, mirror, env); !ended.passed())
        throw Failure("git: can't " + what + ": " + repository.why(ended));
}

Ended Checkout::run(const Arguments& argv, const fs::path& mirror, const Environment& env) const
{
    if (_surroundings.sandbox.empty())
        return runProgram(argv, env);
    Arguments wrapped = _surroundings.sandbox;
    if (!_options.covered.empty())
        for (const std::string& more : {std::string("--tmpfs"), _options.covered.string()})
            wrapped.push_back(more);
    for (const std::string& more :
         {std::string("--ro-bind"), mirror.string(), mirror.string(), std::string("--")})
        wrapped.push_back(more);
    wrapped.insert(wrapped.end(), argv.begin(), argv.end());
    return runProgram(wrapped, env, Descriptors::Standard);
}

/// A build that reads a pointer for a picture fails far from here.
void Checkout::warnOfPointers(const fs::path& folder, const fs::path& mirror) const
{
    constexpr std::size_t named = 3;
    if (!_options.lfs)
        return;
    const Ended ended = run(command::listFilesOfLfs(folder), mirror, checkoutEnvironment(folder));
    std::string names;
    std::size_t count = 0;
    for (std::size_t begin = 0, end = 0; (end = ended.out.find('\0', begin)) != std::string::npos;
         begin = end + 1)
    {
        const std::string name = ended.out.substr(begin, end - begin);
        if (isPointer(folder / name) && ++count <= named)
            names += (count == 1 ? "" : ", ") + printable(name);
    }
    if (count > 0)
        std::cout << "git: warning: " << count << (count == 1 ? " file is" : " files are")
                  << " kept by Git LFS, and not here but as pointers: " << names
                  << (count > named ? ", …" : "")
                  << ". Install git-lfs on this host, and git lfs install --system" << std::endl;
}

} // namespace agent::git
