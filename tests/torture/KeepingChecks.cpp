// What must be true of what is kept, whatever happened.
#include "agent/os/FileDescriptor.h"
#include "agent/wire/CacheFiles.h"
#include "tests/support/Artifacts.h"
#include "tests/torture/Keeping.h"
#include "tests/torture/Survivors.h"

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include <fcntl.h>

namespace agent::test
{

namespace fs = std::filesystem;

namespace
{

std::string outputOf(const std::string& command, int& status)
{
    std::string text;
    FILE* const pipe = ::popen(command.c_str(), "r"); // NOLINT
    CPPUNIT_ASSERT(pipe != nullptr);
    char buffer[4096];
    for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        text.append(buffer, got);
    status = ::pclose(pipe);
    return text.substr(0, text.find('\n'));
}

} // namespace

void Keeping::verify()
{
    waitUntilSettled();
    _daemon.kill();
    _daemon.start();
    waitUntilSettled();
    CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
    const Record record(_daemon.state(), _daemon.folder() / "record-copy.db");
    record.assertWhole();
    for (const Asked& asked : _asked)
        noteMade(record, asked.id);
    for (const Asked& asked : _asked)
        verifyRun(record, asked.id);
    verifyStore(record);
    verifyCaches();
    verifyNothingLeft(record);
    _daemon.start();
}

Keeping::Deeds Keeping::deedsOf(const std::string& run) const
{
    Deeds deeds;
    std::istringstream lines(contentOf(_tells / run));
    for (std::string line; std::getline(lines, line);)
    {
        std::istringstream words(line);
        std::string what;
        std::string first;
        std::string second;
        words >> what >> first >> second;
        if (what == "restored")
            deeds.restored[first] = second;
        else if (what == "made")
            deeds.made[first] = second;
        else if (what == "file")
            deeds.files[second] = first;
        else if (line == "looked")
            deeds.looked = true;
        else if (line == "done")
            deeds.done = true;
    }
    return deeds;
}

fs::path Keeping::attemptOf(const std::string& run, const StageRow& stage) const
{
    return _daemon.state() / "runs" / run.substr(0, 2) / run /
           (std::to_string(stage.ordinal) + "-" + stage.type) / std::to_string(stage.attempt);
}

void Keeping::noteMade(const Record& record, const std::string& run)
{
    const auto row = record.run(run);
    CPPUNIT_ASSERT_MESSAGE("run " + run + " was lost", row.has_value());
    if (row->status == "SUCCESS")
        _made.insert(deedsOf(run).made);
}

void Keeping::verifyRun(const Record& record, const std::string& run) const
{
    const auto row = record.run(run);
    const auto stages = record.stages(run);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stages.size());
    const bool passed = std::all_of(stages.begin(), stages.end(),
                                    [](const StageRow& one) { return one.status == "SUCCESS"; });
    CPPUNIT_ASSERT_EQUAL_MESSAGE(run, std::string(passed ? "SUCCESS" : "FAILURE"), row->status);
    const Deeds deeds = deedsOf(run);
    if (deeds.looked && !deeds.restored.empty())
        CPPUNIT_ASSERT_MESSAGE("what was restored for " + run + " was never saved like that",
                               _made.contains(deeds.restored));
    if (stages[1].status == "SUCCESS")
    {
        CPPUNIT_ASSERT_MESSAGE(run + " did not come to its end", deeds.done);
        verifyFiles(record, run, stages[1]);
    }
}

/// Of a stage that ended in SUCCESS and requires them.
void Keeping::verifyFiles(const Record& record, const std::string& run, const StageRow& stage) const
{
    const Deeds deeds = deedsOf(run);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(run, static_cast<std::int64_t>(deeds.files.size()),
                                 stage.artifactFiles);
    const fs::path manifest = attemptOf(run, stage) / "artifacts.jsonl";
    CPPUNIT_ASSERT_EQUAL_MESSAGE(run, sha256Of(bytesOf(manifest)), stage.artifactManifest);
    const std::string set = run + "/" + stage.id + "." + std::to_string(stage.attempt);
    CPPUNIT_ASSERT_MESSAGE(run + " has lost its files", record.artifactSets().contains(set));
    const auto kept = manifestIn(manifest);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(run, deeds.files.size(), kept.size());
    for (const auto& [path, digest] : deeds.files)
    {
        const auto found = kept.find(path);
        CPPUNIT_ASSERT_MESSAGE(run + " lacks " + path, found != kept.end());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(path, digest, found->second.digest);
        CPPUNIT_ASSERT_MESSAGE(path, fs::exists(_daemon.state() / "artifacts/sets" / set / digest));
    }
}

/// Each content is what its name says, and is there for a set that is on record, which is all that is there.
void Keeping::verifyStore(const Record& record) const
{
    const fs::path store = _daemon.state() / "artifacts";
    const auto sets = setFolders();
    CPPUNIT_ASSERT_MESSAGE("sets on disk are not those on record", sets == record.artifactSets());
    std::set<std::string> needed;
    for (const auto& set : sets)
        for (const auto& entry : fs::directory_iterator(store / "sets" / set))
        {
            const std::string name = entry.path().filename();
            const auto object = objectOf(store, name);
            CPPUNIT_ASSERT_MESSAGE(set + " has " + name, fs::exists(object));
            CPPUNIT_ASSERT_MESSAGE(name + " is there twice", fs::equivalent(object, entry.path()));
            needed.insert(name);
        }
    std::set<std::string> found;
    for (const auto& [digest, bytes] : contentsIn(store)) // fails at one that is torn
        found.insert(digest);
    CPPUNIT_ASSERT_MESSAGE("contents are left that no set has", found == needed);
}

/// Each archive is whole, and holds what a run that passed has made.
void Keeping::verifyCaches() const
{
    for (const auto& entry : fs::recursive_directory_iterator(_daemon.state() / "caches"))
    {
        if (entry.is_directory())
            continue;
        const std::string file = entry.path();
        const FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        const auto header = cacheHeaderOf(opened.get());
        CPPUNIT_ASSERT_MESSAGE(file + " is no archive", header.has_value());
        CPPUNIT_ASSERT_EQUAL(header->key + ".cache", entry.path().filename().string());
        const fs::path there = _daemon.folder() / "unpacked";
        fs::remove_all(there);
        fs::create_directory(there);
        int status = 0;
        outputOf("tail -c +8193 '" + file +
                     "' | zstd -dcq | tar --warning=no-unknown-keyword -xp -C " + there.string() +
                     " && test -d " + there.string() + "/1",
                 status);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(file + " can't be unpacked", 0, status);
        Trees trees;
        const std::string script = (_daemon.folder() / "tree.sh").string();
        trees["deps"] = outputOf("sh " + script + " " + (there / "0").string(), status);
        trees["tool"] = outputOf("sh " + script + " " + (there / "1").string(), status);
        CPPUNIT_ASSERT_MESSAGE(file + " holds what no run has made", _made.contains(trees));
        fs::remove_all(there);
    }
}

void Keeping::verifyNothingLeft(const Record& record) const
{
    const fs::path state = _daemon.state();
    std::string left;
    // The trash was empty before (settled()), and may have got a workspace since that is too old.
    for (const char* folder : {"caches/pending", "caches/new", "artifacts/trash"})
        left += namesIn(state / folder);
    for (const Asked& asked : _asked)
        for (const char* place : {"workspace", "home"})
        {
            const auto staging =
                state / "runs" / asked.id.substr(0, 2) / asked.id / place / caches::staging;
            if (fs::exists(staging) && record.run(asked.id)->status == "SUCCESS")
                left += staging.string() + "\n";
        }
    CPPUNIT_ASSERT_EQUAL_MESSAGE("left over", std::string(), left);
    waitFor("the processes' end", [&state] { return living({state.string()}).empty(); });
}

} // namespace agent::test
