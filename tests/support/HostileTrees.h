#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

/// What a stage may leave to be collected by the pattern `dist`: docs/artifacts.md, "What is kept".
namespace agent::test
{

/// Made by a stage's commands; $OUT is a folder outside of its workspace, with the files `secret` and `dist/secret`.
struct Tree
{
    std::string what;
    std::string commands;
    std::optional<std::size_t> kept = {}; ///< how many files of it; none: who may read what decides
    std::optional<std::string> says = {}; ///< part of the stage's message; empty: it has none
    bool ofOutside = false;               ///< a content of outside is kept, as documented
};

inline std::vector<Tree> hostileTrees(bool sandboxed)
{
    const auto in = [](const std::string& commands) { return "mkdir dist; cd dist; " + commands; };
    return {
        {"dist is a symlink to a file", "ln -s $OUT/secret dist", 0, "dist (a symlink)"},
        {"dist is a symlink to a folder", "ln -s $OUT/dist dist", 0, "dist (a symlink)"},
        {"a symlink to a file", in("ln -s $OUT/secret x; echo inside >y"), 1, "(a symlink)"},
        {"a symlink to a folder", in("ln -s $OUT x"), 0, "dist/x (a symlink)"},
        {"a symlink to /", in("ln -s / root"), 0, "dist/root (a symlink)"},
        {"symlinks upwards", in("ln -s .. up; ln -s ../../../../../.. more"), 0, "a symlink"},
        {"a relative symlink out", in("ln -s ../../../../../outside/secret x"), 0, "a symlink"},
        {"symlinks in a ring", in("ln -s . loop; ln -s y x; ln -s x y"), 0, "a symlink"},
        {"symlinks of symlinks", in("ln -s $OUT a; mkdir b; ln -s ../a/secret b/c"), 0, "symlink"},
        {"a symlink into /proc", in("ln -s /proc/self/root r; ln -s /proc/self/fd f"), 0,
         "dist/r (a symlink)"},
        {"a symlink to endless zeros", in("ln -s /dev/zero zero; ln -s /dev/stdin in"), 0,
         "dist/zero (a symlink)"},
        {"a symlink of 3,000 bytes", in("ln -s $(printf '%03000d' 0) long"), 0, "a symlink"},
        {"3,000 symlinks", in("for i in $(seq 3000); do ln -s $OUT/secret $i; done"), 0,
         "and 2997 more"},
        {"dist is a FIFO", "mkfifo dist", 0, "dist (a FIFO)"},
        {"many FIFOs", in("mkfifo 1 2 3 4 5 6 7 8 9; echo inside >x"), 1, "(a FIFO)"},
        {"a FIFO called as the manifest is", in("mkfifo artifacts.jsonl tests.json"), 0, "a FIFO"},
        {"a socket",
         in("perl -MSocket -e 'socket(S,PF_UNIX,SOCK_STREAM,0); bind(S,sockaddr_un(\"s\")) or "
            "die'"),
         0, "dist/s (a socket)"},
        {"a character device", in("mknod zero c 1 5 2>/dev/null; echo inside >x"), 1},
        {"a block device", in("mknod disk b 7 0 2>/dev/null; echo inside >x"), 1},
        {"set-user, set-group and sticky bits",
         in("echo inside >u; chmod 6755 u; echo inside >s; chmod 1777 s .; chmod g+s ."), 2, ""},
        {"a file without rights", in("echo inside >x; chmod 0 x")},
        {"folders without rights", in("mkdir a b; echo inside >a/x; echo inside >b/x; chmod 0 a; "
                                      "chmod 444 b")},
        {"names with line ends",
         in("echo inside >\"$(printf 'a\\nb')\"; mkdir \"$(printf "
            "'\\n.')\"; echo inside >\"$(printf '\\n./\\n.')\""),
         2, ""},
        {"names with escapes", in("echo inside >\"$(printf 'a\\tb\\033[31m\\001')\""), 1, ""},
        {"a name that is no UTF-8", in("echo inside >\"$(printf '\\377\\376')\"; echo inside >x"),
         1, "(its name is no UTF-8)"},
        {"a folder whose name is no UTF-8",
         in("mkdir \"$(printf '\\300\\257')\"; echo inside >\"$(printf '\\300\\257')/x\""), 0,
         "(its name is no UTF-8)"},
        {"names like JSON", in("echo inside >'\"},{\"path\":\"'; echo inside >'\\u0000'"), 2, ""},
        {"names of dots", in("echo inside >...; echo inside >..a; mkdir .b; echo inside >.b/..c"),
         3, ""},
        {"names like options",
         in("for i in -rf --help -C; do echo inside >./$i; done; "
            "echo inside >'~'"),
         4, ""},
        {"names like patterns", in("for i in '*' '**' '?' '[a]' '{b}'; do echo inside >$i; done"),
         5, ""},
        {"names like other systems' paths", in("echo inside >'..\\..\\x'; echo inside >'C:'"), 2,
         ""},
        {"names that differ by case or form",
         in("for i in a A \"$(printf '\\303\\244')\" \"$(printf 'a\\314\\210')\"; do echo inside "
            ">\"$i\"; done"),
         4, ""},
        {"names of the store",
         in("echo inside >new; echo inside >lock; mkdir objects sets trash; "
            "echo inside >objects/$(printf '%064d' 0)"),
         3, ""},
        {"a name of 255 bytes", in("echo inside >$(printf '%0255d' 0)"), 1, ""},
        {"paths of 4,096 bytes and of one more",
         in("perl -e 'for (1..20) { mkdir \"n\"x200; chdir \"n\"x200 or die } "
            "for (71, 72) { open(F, \">\", \"f\"x$_) or die; print F \"inside\" }'"),
         1, "(its path is too long)"},
        {"2,500 folders in each other",
         in("echo inside >x; perl -e 'for (1..2500) { mkdir \"d\"; chdir \"d\" or die } open(F, "
            "\">\", \"x\")'"),
         1, "not kept: dist/d/d"},
        {"5,000 empty folders", in("mkdir $(seq 5000)"), 0, "no file matches 'dist'"},
        {"100,001 files", in("seq 100001 | xargs touch"), 0,
         "nothing was kept: more than artifacts.max_files, 100000"},
        {"a hole of terabytes", in("truncate -s 8T huge; echo inside >x"), 0,
         "nothing was kept: more than artifacts.max_bytes"},
        {"a hole of all that is allowed", in("truncate -s 64M hole"), 1, ""},
        {"hard links to each other", in("echo inside >a; for i in $(seq 20); do ln a $i; done"), 21,
         ""},
        // A sandbox's is a mount, which stays.
        {"a symlink in place of the workspace",
         "mkdir dist; echo inside >dist/x; cd .. && mv workspace was && ln -s $OUT workspace; :",
         sandboxed ? 1 : 0},
        {"no workspace any more", "cd ..; rm -rf workspace 2>/dev/null; :", 0,
         sandboxed ? "no file matches 'dist'" : "nothing was kept: the workspace"},
        // The last one, as what it leaves is of outside.
        {"a hard link to a file of outside", in("ln $OUT/secret x 2>/dev/null; echo inside >y"),
         sandboxed ? 1 : 2, "", !sandboxed},
    };
}

/// A turn of who exchanges files while they are collected.
struct Turn
{
    std::filesystem::path workspace;
    std::filesystem::path outside;
    int turn = 0;
};

struct Swap
{
    std::string what;
    std::string commands;
    void (*once)(const Turn&);
};

namespace swaps
{

namespace fs = std::filesystem;

constexpr int folders = 300;

/// One of the 300 of `dist`, with a file `f`.
inline fs::path folderOf(const Turn& turn)
{
    return turn.workspace / "dist" / std::to_string(turn.turn % folders + 1);
}

/// In one step, and back.
inline void exchange(const fs::path& one, const fs::path& other)
{
    for (int i = 0; i < 2; ++i)
        ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
}

inline void exchangeWithSymlink(const Turn& turn, const fs::path& place, const fs::path& target)
{
    const fs::path aside = turn.workspace / "aside";
    std::error_code ignored;
    fs::create_symlink(target, aside, ignored);
    exchange(place, aside);
    fs::remove(aside, ignored);
}

inline void exchangeWithNode(const Turn& turn, mode_t kind, dev_t device = 0)
{
    const fs::path aside = turn.workspace / "aside";
    std::error_code ignored;
    if (::mknod(aside.c_str(), kind | 0600U, device) == 0)
        exchange(folderOf(turn) / "f", aside);
    fs::remove(aside, ignored);
}

inline void fileForSymlink(const Turn& turn)
{
    exchangeWithSymlink(turn, folderOf(turn) / "f", turn.outside / "secret");
}

inline void folderForSymlink(const Turn& turn)
{
    exchangeWithSymlink(turn, folderOf(turn), turn.outside / "dist");
}

inline void allForSymlink(const Turn& turn)
{
    exchangeWithSymlink(turn, turn.workspace / "dist", turn.outside / "dist");
}

inline void workspaceForSymlink(const Turn& turn)
{
    const fs::path aside = turn.workspace.parent_path() / "aside";
    std::error_code ignored;
    fs::create_symlink(turn.outside, aside, ignored);
    exchange(turn.workspace, aside);
    fs::remove(aside, ignored);
}

inline void fileForFifo(const Turn& turn)
{
    exchangeWithNode(turn, S_IFIFO);
}

inline void fileForSocket(const Turn& turn)
{
    exchangeWithNode(turn, S_IFSOCK);
}

/// By root only; others leave the file as it is.
inline void fileForDevice(const Turn& turn)
{
    constexpr dev_t zero = 0x105; // 1:5
    exchangeWithNode(turn, S_IFCHR, zero);
}

inline void fileForFolder(const Turn& turn)
{
    const fs::path aside = turn.workspace / "aside";
    std::error_code ignored;
    fs::create_directory(aside, ignored);
    exchange(folderOf(turn) / "f", aside);
    fs::remove(aside, ignored);
}

/// A folder that was entered is nowhere below the workspace for a moment, or deeper than it was.
inline void folderAway(const Turn& turn)
{
    const fs::path folder = folderOf(turn);
    std::error_code ignored;
    for (const fs::path& place : {turn.workspace.parent_path() / "away",
                                  turn.workspace / "dist/deeper" / folder.filename()})
    {
        fs::create_directories(place.parent_path(), ignored);
        fs::rename(folder, place, ignored);
        fs::rename(place, folder, ignored);
    }
}

/// To 100 MiB, which is more than a stage may keep here, and again.
inline void grow(const Turn& turn)
{
    constexpr std::uintmax_t most = 100 << 20;
    static const std::string more(256 << 10, 'i');
    const fs::path file = turn.workspace / "dist/1/f";
    std::error_code gone;
    std::ofstream(file, fs::file_size(file, gone) < most ? std::ios::app : std::ios::trunc) << more;
}

inline void shrinkAndGrow(const Turn& turn)
{
    std::error_code ignored;
    fs::resize_file(turn.workspace / "dist/large", turn.turn % 2 == 0 ? 10 : 20 << 20, ignored);
}

inline void comeAndGo(const Turn& turn)
{
    const fs::path file = turn.workspace / "dist" / ("new" + std::to_string(turn.turn));
    std::ofstream(file) << "inside";
    if (turn.turn % 2 == 0)
        fs::remove(file);
    std::error_code ignored;
    fs::remove_all(folderOf(turn), ignored);
}

} // namespace swaps

inline std::vector<Swap> hostileSwaps()
{
    const std::string tree = "mkdir dist; cd dist; for i in $(seq " +
                             std::to_string(swaps::folders) +
                             "); do mkdir $i; echo inside $i >$i/f; done";
    return {
        {"a file for a symlink", tree, swaps::fileForSymlink},
        {"a folder for a symlink", tree, swaps::folderForSymlink},
        {"dist for a symlink", tree, swaps::allForSymlink},
        {"the workspace for a symlink", tree, swaps::workspaceForSymlink},
        {"a file for a FIFO", tree, swaps::fileForFifo},
        {"a file for a socket", tree, swaps::fileForSocket},
        {"a file for a device", tree, swaps::fileForDevice},
        {"a file for a folder", tree, swaps::fileForFolder},
        {"a folder that moves away", tree, swaps::folderAway},
        {"a file that grows", tree, swaps::grow},
        {"a file that shrinks", tree + "; head -c 20000000 /dev/zero >large", swaps::shrinkAndGrow},
        {"files that come and go", tree, swaps::comeAndGo},
    };
}

} // namespace agent::test
