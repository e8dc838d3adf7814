#include "plugins/git/Mirror.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <sys/file.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

std::string sha256(const std::string& text)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text);
    return Poco::DigestEngine::digestToHex(engine.digest());
}

} // namespace

Mirror::Mirror(const Repository& repository, const fs::path& cache)
    : _repository(repository), _path(cache / "mirrors" / (sha256(repository.url()) + ".git"))
{
    fs::create_directories(_path.parent_path());
    lock();
    if (fs::exists(_path))
        removeLeftovers();
    else
        create();
}

Mirror::~Mirror()
{
    if (_lock >= 0)
        close(_lock);
}

void Mirror::lock()
{
    fs::path file = _path;
    file.replace_extension("lock");
    // Not O_CLOEXEC, see the class.
    _lock = open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (_lock < 0)
        throw Failure("git: can't open " + file.string() + ": " + std::strerror(errno));
    if (flock(_lock, LOCK_EX | LOCK_NB) == 0)
        return;
    std::cout << "git: waiting for another stage that uses the mirror of " << _repository.name()
              << std::endl;
    while (flock(_lock, LOCK_EX) != 0)
        if (errno != EINTR)
            throw Failure("git: can't lock " + file.string() + ": " + std::strerror(errno));
}

void Mirror::create()
{
    fs::path unfinished = _path;
    unfinished.replace_extension("new");
    fs::remove_all(unfinished);
    const Ended made = _repository.run(command::initMirror(unfinished));
    if (!made.passed())
        throw Failure("git: can't create the mirror: " + _repository.why(made));
    fs::rename(unfinished, _path);
    _fresh = true;
}

/// A killed git leaves lock files, which make the next one fail, and partial packs. None of them is in use, since
/// we hold the lock.
void Mirror::removeLeftovers() const
{
    for (auto i = fs::recursive_directory_iterator(_path); i != fs::end(i); ++i)
    {
        const std::string name = i->path().filename();
        if (i->is_directory() && i->path().parent_path() == _path / "objects" && name.size() == 2)
            i.disable_recursion_pending(); // many loose objects, which are never locked
        else if (!i->is_directory() && (name.ends_with(".lock") || name.starts_with("tmp_pack_") ||
                                        name.starts_with("tmp_idx_") || name == "gc.pid"))
            fs::remove(i->path());
    }
}

Target Mirror::find(const std::string& ref)
{
    try
    {
        return tryFind(ref);
    }
    catch (const Damaged& damage)
    {
        std::cout << damage.what() << "\ngit: the mirror is damaged, making it anew" << std::endl;
        fs::remove_all(_path);
        create();
        return tryFind(ref);
    }
}

Target Mirror::tryFind(const std::string& ref)
{
    if (isCommit(ref))
        if (const auto commit = resolve(ref))
            return {.commit = *commit, .branch = ""};

    const std::string wanted = ref.empty() || ref == "HEAD" ? headOfRepository() : ref;
    fetchAll();
    if (wanted.starts_with("refs/") && !wanted.starts_with("refs/heads/") &&
        !wanted.starts_with("refs/tags/"))
    {
        const auto& name = wanted;
        const Ended got = _repository.run(command::fetchRef(_path, _repository.url(), name));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    if (isCommit(wanted) && !resolve(wanted))
    {
        // On no branch or tag; many servers still serve it by its id.
        const Ended got = _repository.run(command::fetchCommit(_path, _repository.url(), wanted));
        if (!got.passed())
            failNoSuchRef(ref, _repository.why(got));
    }
    return findFetched(wanted);
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
    const Ended ended = _repository.run(command::resolve(_path, name));
    std::string commit = ended.out.substr(0, ended.out.find('\n'));
    if (ended.passed() && isCommit(commit))
        return commit;
    if (ended.errors.find("is ambiguous") != std::string::npos)
        throw Failure("git: " + _repository.name() + " has more than one object '" + name +
                      "': give more digits");
    // git's message for an unknown name; for a damaged object there is more.
    if (!_fresh && ended.errors != "fatal: Needed a single revision\n")
        throw Damaged("git: " + _repository.why(ended));
    return std::nullopt;
}

std::string Mirror::headOfRepository() const
{
    // Printed before the call, so that the log names a repository that never answers.
    std::cout << "git: asking " << _repository.name() << " for its HEAD" << std::endl;
    const Ended ended = _repository.run(command::readHead(_path, _repository.url()));
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

void Mirror::fetchAll() const
{
    std::cout << "git: fetching " << _repository.name()
              << (_fresh ? " into a new mirror" : " into the mirror") << std::endl;
    const Ended ended = _repository.run(command::fetchAll(_path, _repository.url()));
    if (ended.passed())
        return;
    // If the repository answers, the mirror is at fault.
    if (!_fresh && _repository.run(command::readHead("/dev/null", _repository.url())).passed())
        throw Damaged("git: " + _repository.why(ended));
    throw Failure("git: can't fetch " + _repository.name() + ": " + _repository.why(ended));
}

void Mirror::cloneInto(const fs::path& workspace) const
{
    for (const Arguments& argv :
         {command::cloneMirror(_path, workspace), command::setOrigin(workspace, _repository.url())})
        if (const Ended ended = _repository.run(argv); !ended.passed())
            throw Failure("git: can't create a repository in the workspace: " +
                          _repository.why(ended));
}

bool Mirror::discardIfDamaged()
{
    if (_fresh || _repository.run(command::verifyMirror(_path)).passed())
        return false;
    std::cout << "git: the mirror is damaged, recreating it" << std::endl;
    fs::remove_all(_path);
    create();
    return true;
}

void Mirror::failNoSuchRef(const std::string& ref, const std::string& why) const
{
    throw Failure("git: " + _repository.name() + " has no branch, tag or commit '" + ref + "'" +
                  (why.empty() ? "" : ": " + why));
}

} // namespace agent::git
