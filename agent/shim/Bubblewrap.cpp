#include "agent/shim/Bubblewrap.h"

#include "agent/os/FileDescriptor.h"
#include "agent/shim/MountTable.h"
#include "agent/wire/CacheFiles.h"
#include "agent/wire/NeededFiles.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// Where everybody may write on the host: empty, and with the same rights.
constexpr const char* writableFolders[] = {"/tmp", "/var/tmp", "/dev/shm"};

/// What belongs to running programs and to people.
constexpr const char* closedFolders[] = {"/run", "/home", "/root"};

/// What the kernel lets root's uid write in /proc without any capability: a core_pattern is executed on the host.
/// Bubblewrap covers irq and bus itself.
constexpr const char* kernelFiles[] = {"sys", "sysrq-trigger", "mtrr",  "acpi", "scsi",
                                       "fs",  "driver",        "asound"};

/// The path without symlinks; empty when there is nothing, or nothing that we can reach.
std::string realPath(const std::string& path)
{
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                            &std::free);
    return found ? found.get() : "";
}

bool isFolder(const std::string& path)
{
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool isInOneOf(const std::string& path, const std::vector<std::string>& folders)
{
    return std::any_of(folders.begin(), folders.end(),
                       [&](const std::string& folder) { return isIn(path, folder); });
}

[[noreturn]] void fail(const std::string& what)
{
    throw std::runtime_error("no sandbox for the stage: " + what);
}

void makeFolder(const std::string& home)
{
    struct stat info = {};
    const bool made = ::mkdir(home.c_str(), 0700) == 0 || errno == EEXIST;
    if (!made || ::lstat(home.c_str(), &info) != 0)
        fail("cannot make " + home + ": " + std::strerror(errno));
    if (!S_ISDIR(info.st_mode))
        fail(home + " is no folder");
}

void makeFile(const std::string& file)
{
    const FileDescriptor made(
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    struct stat info = {};
    if (!made.valid() || ::fstat(made.get(), &info) != 0)
        fail("cannot make " + file + ": " + std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        fail(file + " is no file");
}

/// The options in their order: a later mount covers an earlier one.
class Arguments
{
public:
    explicit Arguments(const SandboxOrder& sandbox) : _sandbox(sandbox)
    {
        add({sandbox.program, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
             "--unshare-cgroup-try", "--die-with-parent", "--cap-drop", "ALL"});
        if (sandbox.network == Network::None)
            add({"--unshare-net"});
        add({"--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"});
    }

    void coverPrivate()
    {
        // No other user can write there; but then a sandbox in the sandbox could not mount its own /proc.
        if (::geteuid() == 0)
            for (const std::string file : kernelFiles)
                if (const std::string path = "/proc/" + file; !realPath(path).empty())
                    add({"--ro-bind", path, path});
        for (const std::string folder : writableFolders)
            cover(folder, "1777");
        for (const std::string folder : closedFolders)
            cover(folder, "0755");
        // It may lead into /run, and names are to be found as on the host.
        if (const std::string resolver = realPath("/etc/resolv.conf");
            isInOneOf(resolver, _covered))
            add({"--ro-bind", resolver, resolver});
    }

    /// Under each of their names.
    void hide(const std::vector<std::string>& paths)
    {
        const MountTable mounts;
        std::vector<std::string> names;
        for (const std::string& path : paths)
            if (const std::string real = realPath(path); !real.empty())
            {
                names.push_back(real);
                for (std::string& alias : mounts.aliasesOf(real))
                    names.push_back(std::move(alias));
            }
        for (const std::string& real : names)
        {
            if (isInOneOf(real, _sealed))
                continue;
            if (isFolder(real))
            {
                add({"--perms", "0755", "--tmpfs", real});
                _covered.push_back(real);
                _sealed.push_back(real);
            }
            else if (!isInOneOf(real, _covered) || isInOneOf(real, _opened))
                add({"--ro-bind", "/dev/null", real});
        }
    }

    void bind(const Bind& bind)
    {
        struct stat info = {};
        if (::stat(bind.path.c_str(), &info) != 0)
            fail("cannot bind " + bind.path + ": " + std::strerror(errno));
        const bool device = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
        add({device ? "--dev-bind" : (bind.writable ? "--bind" : "--ro-bind"), bind.path,
             bind.path});
    }

    /// What the service asked for; a symlink may lead to what is hidden.
    void bindForService(const Bind& wanted)
    {
        const std::string real = realPath(wanted.path);
        for (const std::string& path : _sandbox.hidden)
        {
            const std::string hidden = realPath(path);
            if (real.empty() || hidden.empty())
                continue;
            const bool around = real != wanted.path && isIn(hidden, real);
            if (isIn(real, hidden) || around)
                fail("the bind " + wanted.path + " leads to " + hidden +
                     ", which no stage may see");
        }
        bind(wanted);
        _opened.push_back(real);
    }

    /// What is visible anyway needs no mount.
    void show(const Bind& wanted)
    {
        if (wanted.writable || isInOneOf(realPath(wanted.path), _covered))
            bind(wanted);
    }

    void write(const std::string& path) { add({"--bind", path, path}); }

    void seal()
    {
        for (const std::string& folder : _sealed)
            add({"--remount-ro", folder});
    }

    std::vector<std::string> finish()
    {
        add({"--chdir", "/"});
        return std::move(_arguments);
    }

private:
    void add(std::initializer_list<std::string> more) { _arguments.insert(_arguments.end(), more); }

    void cover(const std::string& folder, const std::string& mode)
    {
        const std::string real = folder == "/dev/shm" ? folder : realPath(folder);
        if (real.empty() || (real != folder && isInOneOf(real, _covered)))
            return;
        add({"--perms", mode, "--tmpfs", real});
        _covered.push_back(real);
    }

    const SandboxOrder& _sandbox;
    std::vector<std::string> _arguments;
    std::vector<std::string> _covered; ///< folders whose content on the host is not seen
    std::vector<std::string> _opened;  ///< paths that are seen again, with all below them
    std::vector<std::string>
        _sealed; ///< folders that become read-only when all that is shown in them is there
};

} // namespace

std::vector<std::string> bubblewrapArguments(const Order& order, const std::string& folder)
{
    const SandboxOrder& sandbox = *order.sandbox;
    if (sandbox.program.empty())
        fail("bubblewrap is not installed");
    Arguments arguments(sandbox);
    arguments.coverPrivate();
    for (const Bind& bind : sandbox.binds)
        arguments.bindForService(bind);
    arguments.hide(sandbox.hidden);
    for (const Bind& bind : sandbox.shown)
    {
        if (bind.writable)
            makeFolder(bind.path);
        arguments.show(bind);
    }
    if (!sandbox.home.empty())
    {
        makeFolder(sandbox.home);
        arguments.write(sandbox.home);
    }
    if (!order.cwd.empty())
    {
        if (struct stat info = {}; ::stat(order.cwd.c_str(), &info) != 0)
            throw std::runtime_error("cannot enter '" + order.cwd + "': " + std::strerror(errno));
        arguments.write(order.cwd);
    }
    for (const auto& [variable, file] :
         {std::pair("STAGE_OUTPUTS", files::outputs), std::pair("STAGE_MASK", files::mask),
          std::pair(caches::reportVariable, caches::report),
          std::pair(needs::reportVariable, needs::report)})
        if (order.env.contains(variable))
        {
            const std::string path = folder + "/" + file;
            makeFile(path);
            arguments.write(path);
        }
    if (!order.outside)
        arguments.seal();
    return arguments.finish();
}

} // namespace agent
