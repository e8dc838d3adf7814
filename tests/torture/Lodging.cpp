#include "tests/torture/Lodging.h"

#include "tests/torture/Survivors.h"

#include <Poco/Exception.h>

#include <cppunit/Exception.h>
#include <cppunit/TestAssert.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace agent::test
{

namespace fs = std::filesystem;

namespace
{

/// Prints one digest of what a checkout has made here: names, kinds, modes, targets of symlinks, contents. Empty folders are none of it.
constexpr const char* treeScript = R"sh({
find . -mindepth 1 \( -path ./.git -o -path ./out \) -prune -o ! -type d -printf '%P %y %m %l\n' | LC_ALL=C sort
find . -mindepth 1 \( -path ./.git -o -path ./out \) -prune -o -type f -print | LC_ALL=C sort | xargs -d '\n' sha256sum
} | sha256sum | cut -c1-64
)sh";

/// The stage. $1: the folder of these scripts.
constexpr const char* stageScript = R"sh(set -e
tells=$1/tells/$RUN_ID
echo "of $KIND $LEVEL $COMMIT" >>$tells
echo "at $PWD" >>$tells
exec 9>>$1/held/$(pwd | tr / _)
flock -n 9 || echo shared >>$tells
echo "tree $(sh $1/tree.sh)" >>$tells
[ ! -d out ] || find out -type f | xargs -r cat | sort -u | sed 's/^/left /' >>$tells
rm -rf out
mkdir -p out/.git junk/a/.git src/2/more
for i in 1 2 3 4 5; do echo "$KIND $LEVEL" >out/$i.o; done
seq 200 | split -a 3 -l 1 - junk/a/
echo '[core] hooksPath = /' >>.git/config
echo torn >.git/HEAD
rm -rf src/1 src/2/0
ln -s ../junk src/1
mkfifo src/2/0
echo torn >>src/3/0
ln src/3/1 src/3/linked
chmod 777 src/3/2
chmod 0 src/3/3
echo '*' >.gitignore
echo '* filter=x' >src/.gitattributes
flock -n 9 || echo shared >>$tells
echo done >>$tells
)sh";

constexpr const char* services[] = {"clean", "reuse", "bare"};

std::string levelOf(const std::string& branch)
{
    return branch == "main" ? "default" : "branches";
}

} // namespace

Lodging::Lodging(Daemon& daemon)
    : _daemon(daemon), _runs(daemon, "lodging"), _origin(daemon.folder() / "origin")
{
    const std::string folder = daemon.folder().string();
    for (const char* name : {"tells", "held"})
        fs::create_directories(daemon.folder() / name);
    std::ofstream(daemon.folder() / "tree.sh") << treeScript;
    std::ofstream(daemon.folder() / "stage.sh") << stageScript;
    makeCommits();
    for (const std::string name : services)
    {
        const bool bare = name == "bare";
        const std::string from =
            bare ? "" : "repository: " + _origin.path().string() + "\nbranch: main\n";
        const std::string copied = "'[ -z \"$(ls -A)\" ] || echo left torn >>" + folder +
                                   "/tells/$RUN_ID; cp -r " + _origin.path().string() + "/. .'";
        const std::string first =
            bare ? "{type: PREPARE, plugin: shell, with: {command: " + copied + "}}"
                 : "{type: PREPARE, plugin: git}";
        daemon.writeService(
            name, "name: " + name + "\n" + from +
                      "concurrency: 9\nworkspace: " + (bare ? "clean" : std::string(name)) +
                      "\nenv: {KIND: " + name + ", LEVEL: default, COMMIT: '0'}\nstages:\n  - " +
                      first + "\n  - {type: BUILD, plugin: shell, with: {command: 'sh " + folder +
                      "/stage.sh " + folder + "'}}\n");
    }
}

/// Three of main, and two of another branch.
void Lodging::makeCommits()
{
    const fs::path clone = _daemon.folder() / "clone";
    for (int i = 0; i < 5; ++i)
    {
        if (i == 3)
            _origin.git("checkout -q -b feature");
        for (int folder = 0; folder < 5; ++folder)
            for (int file = 0; file < 8; ++file)
            {
                const fs::path path =
                    _origin.path() / "src" / std::to_string(folder) / std::to_string(file);
                fs::create_directories(path.parent_path());
                std::ofstream(path) << folder << file << (file < 4 ? i : 0) << "\n";
            }
        std::error_code there;
        fs::create_symlink("src/0/0", _origin.path() / "link", there);
        fs::permissions(_origin.path() / "src/0/1", fs::perms::owner_exec, fs::perm_options::add);
        const std::string id = _origin.commit(".gitignore", "/out\n# " + std::to_string(i) + "\n");
        fs::remove_all(clone);
        _origin.git("clone -q --no-hardlinks '" + _origin.path().string() + "' '" + clone.string() +
                    "'");
        _commits.push_back({.id = id, .branch = i < 3 ? "main" : "feature", .tree = {}});
        _origin.git("-C '" + clone.string() + "' checkout -q " + id);
        const std::string out = (_daemon.folder() / "tree").string();
        const std::string command = "cd '" + clone.string() + "' && sh '" +
                                    (_daemon.folder() / "tree.sh").string() + "' >'" + out + "'";
        CPPUNIT_ASSERT_EQUAL(0, std::system(command.c_str())); // NOLINT: our own words
        _commits.back().tree = contentOf(out).substr(0, 64);
    }
    _origin.git("checkout -q main");
}

void Lodging::submit(int service, int commit)
{
    const std::string name = services[service];
    const Commit& of = _commits[static_cast<std::size_t>(name == "bare" ? 2 : commit)];
    const std::string from =
        name == "bare" ? "" : R"("branch":")" + of.branch + R"(","commit":")" + of.id + R"(",)";
    _runs.submit(R"({"service":")" + name + "\"," + from + R"("env":{"LEVEL":")" +
                 levelOf(of.branch) + R"(","COMMIT":")" + of.id + "\"}}");
}

bool Lodging::settled() const
{
    const fs::path trash = _daemon.state() / "trash";
    std::error_code error;
    return (_runs.open() > 0 || _runs.over()) &&
           (!fs::exists(trash) || fs::is_empty(trash, error)) && !error;
}

void Lodging::waitUntilSettled()
try
{
    waitFor(
        "the end of all that goes on",
        [this]
        {
            if (!_daemon.alive())
                _daemon.start();
            try
            {
                if (_runs.open() > 0)
                    _runs.submitOpen();
                if (!_runs.toDelete().empty())
                    _runs.deleteBut(_runs.ids().size());
                return _runs.toDelete().empty() && settled();
            }
            catch (const Poco::Exception&)
            {
                return false; // it died meanwhile
            }
        },
        90);
}
catch (const CppUnit::Exception& error)
{
    constexpr std::size_t last = 1500;
    const std::string said = _daemon.output();
    CPPUNIT_FAIL(std::string(error.what()) + ": " + _runs.described() + folders() +
                 said.substr(said.size() - std::min(said.size(), last)));
}

void Lodging::verify()
{
    waitUntilSettled();
    _daemon.kill();
    _daemon.start();
    waitUntilSettled();
    CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
    const Record record(_daemon.state(), _daemon.folder() / "record-copy.db");
    record.assertWhole();
    for (const std::string& run : _runs.ids())
        verifyRun(record, run);
    verifyFolders(record);
    waitFor("the processes' end", [this] { return living({_daemon.state().string()}).empty(); });
    _daemon.start();
}

Lodging::Deeds Lodging::deedsOf(const std::string& run) const
{
    Deeds deeds;
    std::istringstream lines(contentOf(_daemon.folder() / "tells" / run));
    for (std::string line; std::getline(lines, line);)
    {
        const auto space = line.find(' ');
        const std::string what = line.substr(0, space);
        const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
        if (what == "of")
            std::istringstream(rest) >> deeds.service >> deeds.level >> deeds.commit;
        else if (what == "at")
            deeds.at = rest;
        else if (what == "tree")
            deeds.tree = rest;
        else if (what == "left")
            deeds.left.insert(rest);
        else if (what == "shared")
            deeds.shared = true;
        else if (what == "done")
            deeds.done = true;
    }
    return deeds;
}

void Lodging::verifyRun(const Record& record, const std::string& run)
{
    const auto row = record.run(run);
    CPPUNIT_ASSERT_MESSAGE("run " + run + " was lost", row.has_value());
    const auto stages = record.stages(run);
    const bool passed = std::all_of(stages.begin(), stages.end(),
                                    [](const StageRow& one) { return one.status == "SUCCESS"; });
    CPPUNIT_ASSERT_EQUAL_MESSAGE(run, std::string(passed ? "SUCCESS" : "FAILURE"), row->status);
    const Deeds deeds = deedsOf(run);
    const std::string where = run + " of " + deeds.service + " at " + deeds.at + ", stages " +
                              stages[0].cause + " " + stages[1].cause + ": ";
    CPPUNIT_ASSERT_MESSAGE(where + "another stage was there too", !deeds.shared);
    for (const std::string& left : deeds.left)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "found files of another service or level",
                                     deeds.service + " " + deeds.level, left);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "found what an earlier run left", std::string("reuse"),
                                     deeds.service);
    }
    CPPUNIT_ASSERT_MESSAGE(where + "did not come to its end",
                           deeds.done || stages[1].status != "SUCCESS");
    if (!deeds.done) // a look that was cut off says nothing
        return;
    const auto commit = std::find_if(_commits.begin(), _commits.end(),
                                     [&](const Commit& one) { return one.id == deeds.commit; });
    CPPUNIT_ASSERT(commit != _commits.end());
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "the tree is not the commit's", commit->tree, deeds.tree);
    if (_judged.insert(run).second && deeds.at.find("/workspaces/") != std::string::npos)
    {
        ++_looks;
        _found += deeds.left.empty() ? 0 : 1;
        const std::string name = fs::path(deeds.at).filename();
        CPPUNIT_ASSERT_MESSAGE(where, name.starts_with(deeds.level + "-"));
    }
}

/// A folder that no run on record had last was left over by the next start.
void Lodging::verifyFolders(const Record& record) const
{
    const fs::path all = _daemon.state() / "workspaces";
    const std::set<std::string> known = record.keptWorkspaces();
    std::error_code none;
    for (const auto& service : fs::directory_iterator(all, none))
        for (const auto& workspace : fs::directory_iterator(service.path()))
            CPPUNIT_ASSERT_MESSAGE(workspace.path().string() + " is nobody's",
                                   known.contains(workspace.path().lexically_relative(all)));
}

void Lodging::clear()
{
    deleteBut(0);
    waitUntilSettled();
    waitFor("no workspace to be left", [this] { return folders().empty(); });
}

std::string Lodging::folders() const
{
    std::string found;
    std::error_code none;
    for (const auto& service : fs::directory_iterator(_daemon.state() / "workspaces", none))
        for (const auto& workspace : fs::directory_iterator(service.path(), none))
            found += workspace.path().string() + "\n";
    return found;
}

} // namespace agent::test
