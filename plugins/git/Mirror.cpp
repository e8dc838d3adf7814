#include "plugins/git/Mirror.h"

#include "plugins/git/Fetch.h"

#include <algorithm>
#include <iostream>

namespace agent::git
{

Target Mirror::find(const std::string& ref)
{
    try
    {
        return tryFind(ref);
    }
    catch (const Damaged& damage)
    {
        _folder.setAside(damage.what());
        return tryFind(ref);
    }
}

Target Mirror::tryFind(const std::string& ref)
{
    if (isCommit(ref) && _folder.fetchedByUs())
        if (const auto commit = resolve(ref))
            return {.commit = *commit, .branch = ""};

    const std::string wanted = ref.empty() || ref == "HEAD" ? headOfRepository() : ref;
    fetchAll();
    if (wanted.starts_with("refs/") && !wanted.starts_with("refs/heads/") &&
        !wanted.starts_with("refs/tags/"))
    {
        const auto& name = wanted;
        const Ended got =
            _repository.run(command::fetchRef(path(), _repository.url(), name, filterOfServer()));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    if (isCommit(wanted) && !resolve(wanted))
    {
        // On no branch or tag; many servers still serve it by its id.
        const Ended got = _repository.run(
            command::fetchCommit(path(), _repository.url(), wanted, filterOfServer()));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    return findFetched(wanted);
}

void Mirror::bring(const std::string& commit, const std::string& path)
{
    if (!_filter.any())
        return;
    try
    {
        tryBring(commit, path);
    }
    catch (const Damaged& damage)
    {
        _folder.setAside(damage.what());
        tryBring(tryFind(commit).commit, path);
    }
}

void Mirror::tryBring(const std::string& commit, const std::string& path)
{
    std::string ids = missing(commit, path);
    if (ids.empty())
        return;
    // Files may be missing, by the filter; what else is, was lost.
    const Ended walked = _repository.run(command::walkFolders(_folder.path(), commit + "^{tree}"));
    if (!walked.passed())
        throw Damaged("git: " + _repository.why(walked));
    if (!serverFilters())
        throw Damaged("git: contents of files are missing");
    std::erase(ids, '?');
    const std::string files = std::to_string(std::count(ids.begin(), ids.end(), '\n')) +
                              " contents of files of " + commit.substr(0, 12);
    std::cout << "git: fetching " << files << ", which the filter left out" << std::endl;
    const Ended fetched = _repository.run(command::fetchFiles(_folder.path(), _repository.url()),
                                          MemoryFile("files", ids));
    if (!fetched.passed())
        throw Failure("git: can't fetch " + files + " from " + _repository.name() + ": " +
                      _repository.why(fetched));
    if (!missing(commit, path).empty())
        throw Failure("git: " + _repository.name() + " does not send all of " + files);
}

/// Returns the ids, as listMissing prints them.
std::string Mirror::missing(const std::string& commit, const std::string& path) const
{
    Ended listed = _repository.run(command::listMissing(_folder.path(), commit, path));
    if (!listed.passed())
        throw Damaged("git: " + _repository.why(listed));
    return std::move(listed.out);
}

void Mirror::requireOn(const std::string& commit, const std::string& branch)
{
    if (!_fetched) // the branch may have been moved since the mirror was fetched into
        try
        {
            fetchAll();
        }
        catch (const Damaged& damage)
        {
            _folder.setAside(damage.what());
            (void)tryFind(commit);
        }
    if (!isOn(commit, branch))
        throw Failure("git: commit " + commit + " is not on the branch '" + printable(branch) +
                      "' of " + _repository.name() +
                      ", and a secret of the run is granted to that branch only");
}

bool Mirror::isOn(const std::string& commit, const std::string& branch) const
{
    const std::string head = "refs/heads/" + branch;
    if (resolve(head))
        return _repository.run(command::isAncestor(path(), commit, head)).passed();
    return resolve("refs/tags/" + branch) == commit;
}

bool Mirror::isOnNow(const std::string& commit, const std::string& branch)
{
    if (isOn(commit, branch))
        return true;
    if (_fetched)
        return false;
    try
    {
        fetchAll();
    }
    catch (const Failure& failure)
    {
        std::cout << failure.what() << std::endl;
        return false;
    }
    return isOn(commit, branch);
}

Target Mirror::findFetched(const std::string& ref) const
{
    constexpr std::string_view heads = "refs/heads/";
    if (ref.starts_with("refs/"))
    {
        if (const auto commit = resolve(ref))
            return {.commit = *commit,
                    .branch = ref.starts_with(heads) ? ref.substr(heads.size()) : ""};
        failNoSuchRef(ref);
    }
    if (isCommit(ref))
    {
        if (const auto commit = resolve(ref))
            return {.commit = *commit, .branch = ""};
        failNoSuchRef(ref);
    }
    if (const auto commit = resolve(std::string(heads) + ref))
        return {.commit = *commit, .branch = ref};
    if (const auto commit = resolve("refs/tags/" + ref))
        return {.commit = *commit, .branch = ""};
    if (isShortCommit(ref))
        if (const auto commit = resolve(ref))
            return {.commit = *commit, .branch = ""};
    failNoSuchRef(ref);
}

std::optional<std::string> Mirror::resolve(const std::string& name) const
{
    const Ended ended = _repository.run(command::resolve(path(), name));
    std::string commit = ended.out.substr(0, ended.out.find('\n'));
    if (ended.passed() && isCommit(commit))
        return commit;
    if (ended.errors.find("is ambiguous") != std::string::npos)
        throw Failure("git: " + _repository.name() + " has more than one object '" + name +
                      "': give more digits");
    // git's message for an unknown name; for a damaged object there is more.
    if (!_folder.fresh() && ended.errors != "fatal: Needed a single revision\n")
        throw Damaged("git: " + _repository.why(ended));
    return std::nullopt;
}

std::string Mirror::headOfRepository() const
{
    // Printed before the call, so that the log names a repository that never answers.
    std::cout << "git: asking " << _repository.name() << " for its HEAD" << std::endl;
    const Ended ended = _repository.run(command::readHead("/dev/null", _repository.url()));
    if (!ended.passed())
        throw Failure("git: can't reach " + _repository.name() + ": " + _repository.why(ended));
    // "ref: refs/heads/main<TAB>HEAD" and then "<commit><TAB>HEAD"; the first only for a branch.
    constexpr std::string_view symbolic = "ref: ";
    const std::size_t begin = ended.out.starts_with(symbolic) ? symbolic.size() : 0;
    std::string head = ended.out.substr(begin, ended.out.find('\t') - begin);
    if (!isCommit(head) && (!head.starts_with("refs/") || !refuseRef(head).empty()))
        throw Failure("git: " + _repository.name() + " has no HEAD: it is empty");
    return head;
}

void Mirror::fetchAll()
{
    std::cout << "git: fetching " << _repository.name()
              << (_folder.fresh() ? " into a new mirror" : " into the mirror")
              << (_filter.any() ? ", filter " : "") << _filter.specification() << std::endl;
    const std::string& filter = filterOfServer();
    const auto fetch = [&]
    {
        return _repository.run(command::fetchAll(
            path(), _repository.url(), std::filesystem::exists(path() / "shallow"), filter));
    };
    Ended ended = fetch();
    if (_folder.fresh() && ended.errors.find("mismatched algorithms") != std::string::npos)
    {
        _folder.recreate("sha256");
        ended = fetch();
    }
    if (ended.passed())
    {
        _fetched = true;
        if (ended.errors.find("filtering not recognized") != std::string::npos)
            warnOfServer();
        return _folder.rememberFetch();
    }
    // If the repository answers, the mirror is at fault.
    if (!_folder.fresh() &&
        _repository.run(command::readHead("/dev/null", _repository.url())).passed())
        throw Damaged("git: " + _repository.why(ended));
    throw Failure("git: can't fetch " + _repository.name() + ": " + _repository.why(ended));
}

/// An http server is asked before the first fetch: a filtered fetch from a dumb server makes git 2.39 fetch each missing object by
/// another git, which does the same, without end.
bool Mirror::serverFilters()
{
    if (!_serverFilters)
    {
        std::string url = _repository.run(command::actualUrl(path(), _repository.url())).out;
        url.resize(std::min(url.find('\n'), url.size()));
        if (!url.starts_with("http:") && !url.starts_with("https:"))
            return true; // git says so where it can't
        const Ended asked =
            _repository.run(command::askServer(path(), url),
                            MemoryFile("question", "stateless-connect git-upload-pack\n\n"));
        const bool fallback = asked.out.starts_with("fallback"); // files, or an older protocol
        if (!fallback && !asked.out.starts_with("\n"))
            throw Failure("git: can't reach " + _repository.name() + ": " + _repository.why(asked));
        const auto fetch = asked.out.find("fetch=");
        const std::string features =
            fallback || fetch == std::string::npos
                ? ""
                : asked.out.substr(fetch, asked.out.find('\n', fetch) - fetch);
        _serverFilters = features.find("filter") != std::string::npos;
        if (!*_serverFilters)
            warnOfServer();
    }
    return *_serverFilters;
}

const std::string& Mirror::filterOfServer()
{
    static const std::string none;
    return _filter.any() && !serverFilters() ? none : _filter.specification();
}

void Mirror::warnOfServer() const
{
    std::cout << "git: warning: the server of " << _repository.name()
              << " has no filters (uploadpack.allowFilter) and sends all files" << std::endl;
}

bool Mirror::replaceIfDamaged()
{
    if (_folder.fresh())
        return false;
    Ended ended = _repository.run(command::verifyMirror(path(), _filter.specification()));
    if (ended.passed() && _filter.any())
        // What else is missing than files was lost, though others name it.
        ended = _repository.run(command::walkFolders(path(), "--all"));
    if (ended.passed())
        return false;
    _folder.setAside("git: " + _repository.why(ended));
    return true;
}

void Mirror::failNoSuchRef(const std::string& ref, const std::string& why) const
{
    throw Failure("git: " + _repository.name() + " has no branch, tag or commit '" + ref + "'" +
                  (why.empty() ? "" : ": " + why));
}

} // namespace agent::git
