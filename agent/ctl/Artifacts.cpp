// `stagectl artifacts`: what stages left, listed or brought here.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Download.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"
#include "agent/model/FilePatterns.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace agent::ctl
{

namespace
{

constexpr std::size_t shortDigest = 12;

/// The files of one stage, or of all stages of a run, and the document that lists them.
struct Found
{
    std::vector<RemoteFile> files;
    std::vector<std::string> objects; ///< each file's, in the API's JSON
};

void addStage(Found& found, const Client& client, const std::string& id, const std::string& title,
              bool ofRun)
{
    const Answer answer = client.ask({.path = "/api/stages/" + id + "/artifacts"});
    const auto list = listOf(answer);
    const auto objects = objectsIn(answer.body);
    for (rapidjson::SizeType i = 0; i < list.Size() && i < objects.size(); ++i)
    {
        RemoteFile file = remoteFileFrom(list[i]);
        file.stageId = id;
        file.stageTitle = title;
        found.files.push_back(std::move(file));
        found.objects.push_back(ofRun ? withMember(objects[i], "stageId", quoted(id))
                                      : std::string(objects[i]));
    }
}

Found findFiles(const Target& target)
{
    const Client& client = *target.client;
    Found found;
    if (target.kind == Target::Kind::Stage)
    {
        const auto stage = objectOf(client.ask({.path = "/api/stages/" + target.id}));
        addStage(found, client, target.id, stageTitle(stage), false);
        return found;
    }
    static_cast<void>(client.ask({.path = "/api/runs/" + target.id})); // 404 if unknown
    const auto stages =
        listOf(client.ask({.path = "/api/stages?runId=" + target.id + "&view=detail"}));
    for (const rapidjson::Value& stage : stages.GetArray())
        if (const auto* kept = member(stage, "artifacts"); kept != nullptr && kept->IsObject())
            addStage(found, client, text(stage, "id"), stageTitle(stage), true);
    return found;
}

bool matches(const FilePatterns& patterns, const std::string& path)
{
    auto way = patterns.begin();
    for (std::size_t begin = 0; begin <= path.size() && !way.leadsNowhere();)
    {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        way = patterns.next(way, std::string_view(path).substr(begin, end - begin));
        begin = end + 1;
    }
    return !way.matched().empty();
}

void keepMatching(Found& found, const ArtifactsQuery& query)
{
    const FilePatterns patterns(query.patterns);
    Found kept;
    for (std::size_t i = 0; i < found.files.size(); ++i)
        if (matches(patterns, found.files[i].path))
        {
            kept.files.push_back(std::move(found.files[i]));
            kept.objects.push_back(std::move(found.objects[i]));
        }
    found = std::move(kept);
    if (!found.files.empty())
        return;
    std::string all;
    for (const std::string& pattern : query.patterns)
        all += (all.empty() ? "'" : ", '") + visible(pattern) + "'";
    throw Failure(Exit::NotFound, "no artifact matches " + all +
                                      "\nto see what there is: stagectl artifacts " +
                                      visible(query.target));
}

/// Errors: Failure Usage when two stages left different files of the same path, or one a file where the other has a folder.
void checkPaths(const std::vector<RemoteFile>& files)
{
    std::map<std::string, const RemoteFile*> byPath;
    const auto clash = [](const RemoteFile& one, const RemoteFile& other)
    {
        return Failure(Exit::Usage, "the stages " + visible(one.stageTitle) + " and " +
                                        visible(other.stageTitle) + " both left '" +
                                        visible(one.path) +
                                        "'\nname one of them: stagectl artifacts RUN/STAGE");
    };
    for (const RemoteFile& file : files)
    {
        const auto [before, isNew] = byPath.emplace(file.path, &file);
        if (!isNew && before->second->sha256 != file.sha256)
            throw clash(*before->second, file);
    }
    for (const RemoteFile& file : files)
        for (std::size_t slash = file.path.find('/'); slash != std::string::npos;
             slash = file.path.find('/', slash + 1))
            if (const auto above = byPath.find(file.path.substr(0, slash)); above != byPath.end())
                throw clash(*above->second, file);
}

std::string filesText(std::size_t files, std::int64_t bytes)
{
    return std::to_string(files) + (files == 1 ? " file, " : " files, ") + bytesText(bytes);
}

std::int64_t bytesOf(const std::vector<RemoteFile>& files)
{
    std::int64_t bytes = 0;
    for (const RemoteFile& file : files)
        bytes += file.size;
    return bytes;
}

std::string documentOf(const Found& found)
{
    std::string json = "[";
    for (const std::string& object : found.objects)
        json.append(json.size() > 1 ? "," : "").append(object);
    return json + "]";
}

Exit fetchFiles(const Session& session, const Client& client, const Found& found,
                const ArtifactsQuery& query)
{
    checkPaths(found.files);
    std::size_t fetched = 0;
    {
        ProgressBar progress(bytesOf(found.files));
        Download download(client, query.to, progress);
        for (const RemoteFile& file : found.files)
            fetched += download.fetch(file) ? 1 : 0;
    }
    if (session.json)
    {
        printDocument(session, documentOf(found));
        return Exit::Ok;
    }
    const std::size_t there = found.files.size() - fetched;
    writeOut(filesText(found.files.size(), bytesOf(found.files)) + " in " + visible(query.to) +
             (there > 0 ? "; " + std::to_string(there) + " of them stood there already" : "") +
             "\n");
    return Exit::Ok;
}

} // namespace

Exit showArtifacts(const Session& session, const ArtifactsQuery& query)
{
    if (query.patterns.empty() && !query.to.empty())
        throw Failure(Exit::Usage,
                      "--to takes what --get PATTERN names: all of it with --get '**'");
    const Target target = findRunOrStage(session.agents, query.target, Use::Read);
    Found found = findFiles(target);
    if (!query.patterns.empty())
    {
        keepMatching(found, query);
        ArtifactsQuery here = query;
        if (here.to.empty())
            here.to = ".";
        return fetchFiles(session, *target.client, found, here);
    }
    if (session.json)
    {
        printDocument(session, documentOf(found));
        return Exit::Ok;
    }
    const Terminal& terminal = session.terminal;
    if (terminal.names)
    {
        for (const RemoteFile& file : found.files)
            writeOut(visible(file.path) + "\n");
        return Exit::Ok;
    }
    const bool ofRun = target.kind == Target::Kind::Run;
    std::vector<std::string> headings{"SIZE", "MODE", "SHA256", "PATH"};
    if (ofRun)
        headings.insert(headings.begin(), "STAGE");
    Table table(headings);
    for (const RemoteFile& file : found.files)
    {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", file.mode);
        const bool cut = terminal.interactive && !terminal.wide;
        std::vector<std::string> cells{
            terminal.interactive ? bytesText(file.size) : std::to_string(file.size), mode,
            cut ? file.sha256.substr(0, shortDigest) : file.sha256, file.path};
        if (ofRun)
            cells.insert(cells.begin(), file.stageTitle);
        table.add(cells);
    }
    writeOut(table.render(terminal));
    if (terminal.interactive)
        writeOut("\n" + filesText(found.files.size(), bytesOf(found.files)) + "\n");
    return Exit::Ok;
}

} // namespace agent::ctl
