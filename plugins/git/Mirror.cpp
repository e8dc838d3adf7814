#include "plugins/git/Mirror.h"

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
        const Ended got = _repository.run(command::fetchRef(path(), _repository.url(), name));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    if (isCommit(wanted) && !resolve(wanted))
    {
        // On no branch or tag; many servers still serve it by its id.
        const Ended got = _repository.run(command::fetchCommit(path(), _repository.url(), wanted));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    return findFetched(wanted);
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
              << (_folder.fresh() ? " into a new mirror" : " into the mirror") << std::endl;
    const auto fetch = [&]
    {
        return _repository.run(command::fetchAll(path(), _repository.url(),
                                                 std::filesystem::exists(path() / "shallow")));
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
        return _folder.rememberFetch();
    }
    // If the repository answers, the mirror is at fault.
    if (!_folder.fresh() &&
        _repository.run(command::readHead("/dev/null", _repository.url())).passed())
        throw Damaged("git: " + _repository.why(ended));
    throw Failure("git: can't fetch " + _repository.name() + ": " + _repository.why(ended));
}

bool Mirror::replaceIfDamaged()
{
    if (_folder.fresh())
        return false;
    const Ended ended = _repository.run(command::verifyMirror(path()));
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
