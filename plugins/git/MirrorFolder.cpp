#include "plugins/git/MirrorFolder.h"

#include "plugins/git/Url.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

constexpr const char* fetchers =
    "fetched-by"; ///< hashes of URLs, with their passwords and credentials
constexpr const char* trustedMark = "trusted"; ///< is not there once it was used untrusted
constexpr std::size_t mostFetchers = 100;
constexpr int mostAside = 9;

std::string sha256(const std::string& text)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text);
    return Poco::DigestEngine::digestToHex(engine.digest());
}

/// Whether the path still names the open file: who removes a mirror removes its lock as well.
bool isFile(int descriptor, const fs::path& path)
{
    struct stat open = {};
    struct stat named = {};
    return fstat(descriptor, &open) == 0 && lstat(path.c_str(), &named) == 0 &&
           open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

/// Returns the lines of a small file; none if it is not there.
std::vector<std::string> linesOf(const fs::path& path)
{
    std::vector<std::string> lines;
    if (!fs::is_regular_file(fs::symlink_status(path)) || fs::file_size(path) > 1 << 20)
        return lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    return lines;
}

} // namespace

MirrorFolder::MirrorFolder(const Repository& repository, const fs::path& folder, bool trusted,
                           const Filter& filter)
    : _repository(repository), _trusted(trusted)
{
    const std::string name = mirrorName(repository.url());
    const std::string& without = filter.specification();
    // No address has a line feed.
    _path = folder / (sha256(filter.any() ? name + "\n" + without : name) + ".git");
    fs::create_directories(_path.parent_path());
    lock(filter.any() ? name + " (filter " + without + ")" : name);
    prepare();
}

MirrorFolder::~MirrorFolder()
{
    if (_lock >= 0)
        close(_lock);
}

void MirrorFolder::lock(const std::string& name)
{
    fs::path file = _path;
    file.replace_extension("lock");
    bool told = false;
    while (true)
    {
        // Not O_CLOEXEC, see the class.
        _lock = open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (_lock < 0)
            throw Failure("git: can't open " + file.string() + ": " + std::strerror(errno));
        if (flock(_lock, LOCK_EX | LOCK_NB) != 0)
        {
            if (!std::exchange(told, true))
                std::cout << "git: waiting for another stage that uses the mirror of "
                          << _repository.name() << std::endl;
            while (flock(_lock, LOCK_EX) != 0)
                if (errno != EINTR)
                    throw Failure("git: can't lock " + file.string() + ": " + std::strerror(errno));
        }
        if (isFile(_lock, file))
            break;
        close(std::exchange(_lock, -1));
    }
    // Its text and time are for who looks for unused mirrors: nothing fails without them.
    const std::string text = name + "\n";
    if (ftruncate(_lock, 0) == 0 && pwrite(_lock, text.data(), text.size(), 0) < 0)
        std::cout << "git: can't write " << file.string() << std::endl;
    futimens(_lock, nullptr);
}

/// Leaves a mirror in which nothing but refs and objects comes from before.
void MirrorFolder::prepare()
{
    try
    {
        const fs::file_status status = fs::symlink_status(_path);
        if (!fs::exists(status))
            return recreate("sha1");
        for (const char* folder : {"", "objects", "refs"})
            if (!fs::is_directory(fs::symlink_status(_path / folder)))
                throw Failure("git: the mirror has no folder '" + std::string(folder) + "'");
        const auto config = linesOf(_path / "config");
        const bool isSha256 =
            std::any_of(config.begin(), config.end(),
                        [](const std::string& line) { return line == "\tobjectformat = sha256"; });
        removeStrangers();
        removeLeftovers();
        writeConfig(isSha256 ? "sha256" : "sha1");
    }
    catch (const Failure& damage)
    {
        setAside(damage.what());
    }
    catch (const fs::filesystem_error& error)
    {
        setAside("git: " + std::string(error.what()));
    }
}

void MirrorFolder::recreate(const std::string& format)
{
    fs::remove_all(_path);
    fs::path unfinished = _path;
    unfinished.replace_extension("new");
    fs::remove_all(unfinished);
    const Ended made = _repository.run(command::initMirror(unfinished, format));
    if (!made.passed())
        throw Failure("git: can't create the mirror: " + _repository.why(made));
    if (_trusted)
        std::ofstream(unfinished / trustedMark) << "";
    fs::rename(unfinished, _path);
    _fresh = true;
    writeConfig(format);
}

bool MirrorFolder::trusted() const
{
    return _trusted && fs::exists(_path / trustedMark);
}

void MirrorFolder::setAside(const std::string& why)
{
    fs::path aside;
    std::error_code error;
    for (int i = 1; i <= mostAside; ++i)
    {
        aside = _path;
        aside.replace_extension(std::to_string(i) + ".aside");
        fs::remove_all(aside, error); // of one, the last, there is a use
        fs::rename(_path, aside, error);
        if (!error)
            break;
    }
    if (error)
        throw Failure("git: the mirror " + _path.string() +
                      " can't be used, and can't be set aside: " + error.message() +
                      "; remove it by hand");
    std::cout << why << "\ngit: the mirror can't be used, making it anew; the old one is "
              << aside.string() << std::endl;
    recreate("sha1");
}

/// What git puts into a bare repository to be steered by, and what it has no use for here.
void MirrorFolder::removeStrangers() const
{
    static const std::set<std::string> ours{"HEAD",        "objects", "refs",
                                            "packed-refs", "shallow", fetchers};
    for (const fs::directory_entry& entry : fs::directory_iterator(_path))
    {
        const fs::path name = entry.path().filename();
        const bool kept = ours.contains(name) || (_trusted && name == trustedMark);
        if (!kept || entry.is_symlink())
            fs::remove_all(entry.path());
    }
    for (const char* file : {"alternates", "http-alternates"})
        fs::remove_all(_path / "objects" / "info" / file);
}

/// A killed git leaves lock files, which make the next one fail, and partial packs. None of them is in use, since
/// we hold the lock.
void MirrorFolder::removeLeftovers() const
{
    for (auto i = fs::recursive_directory_iterator(_path); i != fs::end(i); ++i)
    {
        const std::string name = i->path().filename();
        if (i->is_directory() && i->path().parent_path() == _path / "objects" && name.size() == 2)
            i.disable_recursion_pending(); // many loose objects, which are never locked
        else if (!i->is_directory() && (name.ends_with(".lock") || name.starts_with("tmp_pack_") ||
                                        name.starts_with("tmp_idx_")))
            fs::remove(i->path());
    }
}

void MirrorFolder::writeConfig(const std::string& format) const
{
    const bool isSha256 = format == "sha256";
    const fs::path written = _path / "config.new";
    std::ofstream file(written, std::ios::trunc);
    file
        << "[core]\n\trepositoryformatversion = " << (isSha256 ? 1 : 0)
        << "\n\tbare = true\n\tfilemode = true\n\tlogAllRefUpdates = false\n"
        << "\tsharedRepository = umask\n"
        // A workspace may need a commit that is on no branch, and of a mirror with a filter commits and folders only; the
        // host's configuration hides nothing from it.
        << "[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n"
        << "[transfer]\n\thideRefs = !refs\n";
    if (isSha256)
        file << "[extensions]\n\tobjectformat = sha256\n";
    file.close();
    if (!file)
        throw Failure("git: can't write " + written.string() + ": " + std::strerror(errno));
    fs::rename(written, _path / "config");
}

bool MirrorFolder::fetchedByUs() const
{
    const auto known = linesOf(_path / fetchers);
    return std::find(known.begin(), known.end(), sha256(_repository.access())) != known.end();
}

void MirrorFolder::rememberFetch() const
{
    if (fetchedByUs())
        return;
    auto known = linesOf(_path / fetchers);
    known.push_back(sha256(_repository.access()));
    const fs::path written = _path / (std::string(fetchers) + ".new");
    std::ofstream file(written, std::ios::trunc);
    for (std::size_t i = known.size() - std::min(known.size(), mostFetchers); i < known.size(); ++i)
        file << known[i] << "\n";
    file.close();
    fs::rename(written, _path / fetchers);
}

} // namespace agent::git
