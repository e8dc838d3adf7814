// What stages left that is kept: docs/artifacts.md.
#include "agent/api/ArtifactType.h"
#include "agent/api/ByteRange.h"
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"
#include "agent/api/Routes.h"
#include "agent/store/ArtifactArchive.h"
#include "agent/store/ArtifactSets.h"

#include <cstdio>
#include <set>

namespace agent
{

namespace
{

Declined none(const std::string& code, const std::string& message)
{
    return {Declined::Kind::NotFound, code, message};
}

/// The stage as the attempt that is asked for ended.
Stage attemptAsked(const ApiParts& api, const Request& request, const std::string& id)
{
    const Stage stage = needStage(api, id);
    const auto attempt = attemptOf(request, stage);
    if (!attempt || *attempt == stage.attempt)
        return stage;
    auto reader = api.database.reader();
    auto ended = RunStore(*reader).attempt(id, *attempt);
    if (!ended)
        throw none("attempt_not_found", "how this attempt ended is not on record");
    return *ended;
}

ArtifactManifest manifestOf(const ApiParts& api, const Stage& stage)
{
    auto manifest =
        ArtifactManifest::open(api.state.attempt(stage, stage.attempt), stage.artifactManifest);
    if (!manifest)
        throw none("artifacts_lost",
                   "the list of what attempt " + std::to_string(stage.attempt) + " of stage " +
                       stage.id + " left is missing, or is not the one that its collector wrote");
    return std::move(*manifest);
}

/// Whether what the attempt left is in the store. Contents that another attempt has too would be there for longer.
bool isThere(const ApiParts& api, const Stage& stage)
{
    auto reader = api.database.reader();
    return ArtifactSets(*reader).has(stage.id, stage.attempt);
}

/// Sends the content as it was kept: by sendfile, and a part where that is asked for.
Response contentOf(const ApiParts& api, const Request& request, const Stage& stage,
                   const Artifact& artifact)
{
    const std::string etag = "\"" + artifact.sha256 + "\"";
    const auto type = artifactTypeOf(artifact.path);
    Response response{.contentType = type.contentType};
    response.headers = {{"ETag", etag},
                        {"Accept-Ranges", "bytes"},
                        {"Cache-Control", "private, no-cache"},
                        {"Content-Disposition", contentDisposition(artifact.path, type.shown)},
                        {"Content-Security-Policy", artifactPolicy},
                        {"Cross-Origin-Resource-Policy", "same-origin"},
                        {"Referrer-Policy", "no-referrer"},
                        {"X-Content-Type-Options", "nosniff"}};
    if (request.header("if-none-match").find(etag) != std::string::npos)
    {
        response.status = 304;
        return response;
    }
    const auto content =
        isThere(api, stage)
            ? ArtifactContents(api.state.artifacts()).open(artifact.sha256, artifact.size)
            : std::nullopt;
    if (!content)
        throw none("artifact_removed",
                   "'" + artifact.path + "' was removed when its time was over");
    ByteRange part{.first = 0, .last = artifact.size - 1};
    const std::string only = request.header("if-range");
    const auto range = only.empty() || only == etag
                           ? rangeOf(request.header("range"), artifact.size, "the file")
                           : std::nullopt;
    if (range)
    {
        part = *range;
        response.status = 206;
        response.headers["Content-Range"] = contentRange(part, artifact.size);
    }
    response.file = {ownedCopy(content->descriptor()), part.first, part.length()};
    return response;
}

Response fileOf(const ApiParts& api, const Request& request, const std::string& id,
                const std::string& path)
{
    const Stage stage = attemptAsked(api, request, id);
    const auto artifact =
        stage.artifactManifest.empty() ? std::nullopt : manifestOf(api, stage).find(path);
    if (!artifact)
        throw none("artifact_not_found", "the stage left no '" + path + "'");
    return contentOf(api, request, stage, *artifact);
}

/// A name for a folder in the archive: what the artifacts are called, or of several that are called so, with their stage's number.
std::string folderName(const std::string& name, int ordinal, std::set<std::string>& taken)
{
    std::string folder = name.empty() || name == "." || name == ".." ? "artifacts" : name;
    for (char& c : folder)
        c = c == '/' || (c >= 0 && c < 0x20) || c == 0x7f ? '_' : c;
    if (taken.insert(folder).second)
        return folder;
    for (std::string numbered = folder + "-" + std::to_string(ordinal);; numbered += "_")
        if (taken.insert(numbered).second)
            return numbered;
}

} // namespace

std::string toApiJson(const Artifact& artifact)
{
    return json::object(
        [&](json::Writer& out)
        {
            char mode[8];
            std::snprintf(mode, sizeof mode, "%04o", artifact.mode);
            json::put(out, "path", artifact.path);
            json::put(out, "mode", mode);
            json::putNumber(out, "size", std::optional(artifact.size));
            json::put(out, "sha256", artifact.sha256);
        });
}

Response listFiles(const ApiParts& api, const Request& request, const std::string& id)
{
    if (const auto path = request.parameter("path"))
        return fileOf(api, request, id, *path);
    const Stage stage = attemptAsked(api, request, id);
    if (stage.artifactManifest.empty())
        return {.body = "[]"};
    const auto manifest = std::make_shared<ArtifactManifest>(manifestOf(api, stage));
    return arrayOf(
        [manifest]() -> std::optional<std::string>
        {
            const auto artifact = manifest->next();
            return artifact ? std::optional(toApiJson(*artifact)) : std::nullopt;
        });
}

Response getFile(const ApiParts& api, const Request& request, const std::string& id)
{
    constexpr std::size_t before = 4; // api, stages, the id, artifacts
    std::string path;
    for (std::size_t i = before; i < request.segments.size(); ++i)
        path.append(i > before ? "/" : "").append(request.segments[i]);
    return fileOf(api, request, id, path);
}

Response runArchive(const ApiParts& api, const Request&, const std::string& id)
{
    std::vector<Stage> stages;
    {
        auto reader = api.database.reader();
        if (!RunStore(*reader).run(id))
            throw none("run_not_found", "there is no run " + id);
        stages = RunStore(*reader).stages(id);
    }
    std::erase_if(stages, [](const Stage& stage) { return stage.artifactManifest.empty(); });
    if (stages.empty())
        throw none("no_artifacts", "no stage of the run left anything");
    std::vector<ArchivedSet> sets;
    std::set<std::string> taken;
    for (const Stage& stage : stages)
    {
        if (!isThere(api, stage))
            continue;
        auto manifest = manifestOf(api, stage);
        std::string folder = folderName(manifest.name(), stage.ordinal, taken);
        sets.push_back({.folder = std::move(folder),
                        .manifest = std::move(manifest),
                        .writtenAt = stage.endedAt.value_or(stage.updatedAt)});
    }
    if (sets.empty())
        throw none("artifact_removed", "what the run left was removed when its time was over");
    const auto archive =
        std::make_shared<ArtifactArchive>(ArtifactContents(api.state.artifacts()), std::move(sets));
    Response response{.contentType = "application/zstd"};
    response.headers = {{"Cache-Control", "no-store"},
                        {"Content-Disposition",
                         contentDisposition("artifacts-" + id.substr(0, 8) + ".tar.zst", false)},
                        {"X-Content-Type-Options", "nosniff"}};
    response.pages = std::make_shared<Response::Pages>(
        Response::Pages{.next = [archive](std::string& out) { return archive->next(out); }});
    return response;
}

} // namespace agent
