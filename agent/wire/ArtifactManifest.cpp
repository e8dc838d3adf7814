#include "agent/wire/ArtifactManifest.h"

#include "agent/os/Sha256.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::size_t blockBytes = 65'536;
constexpr std::uint64_t mostBytes = 64UL << 20;

/// A path of 4,096 bytes, each of them escaped, and the rest of the line.
constexpr std::size_t longestLine = 32'768;

constexpr int knownVersion = 1;

/// Another file than that of the collector may stand there: it is as good as none.
std::optional<RegularFile> openManifest(const std::filesystem::path& file)
{
    try
    {
        return RegularFile::open(file.string());
    }
    catch (const DamagedFile&)
    {
        return std::nullopt;
    }
}

bool hasDigest(const RegularFile& file, const std::string& sha256)
{
    if (file.size() > mostBytes)
        return false;
    Sha256 hash;
    std::string block(blockBytes, '\0');
    for (std::uint64_t offset = 0; offset <= mostBytes;)
    {
        const std::size_t got = file.read(offset, block.data(), block.size());
        if (got == 0)
            break;
        hash.update(std::string_view(block).substr(0, got));
        offset += got;
    }
    return toHex(hash.digest()) == sha256;
}

[[noreturn]] void throwChanged()
{
    throw std::runtime_error(std::string(manifestName) + " was changed after the stage's end");
}

rapidjson::Document parsed(std::string_view line)
{
    rapidjson::Document document;
    document.Parse(line.data(), line.size());
    if (document.HasParseError() || !document.IsObject())
        throwChanged();
    return document;
}

std::int64_t numberIn(const rapidjson::Document& document, const char* key)
{
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd() || !member->value.IsInt64() || member->value.GetInt64() < 0)
        throwChanged();
    return member->value.GetInt64();
}

std::string textIn(const rapidjson::Document& document, const char* key)
{
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd() || !member->value.IsString())
        throwChanged();
    return {member->value.GetString(), member->value.GetStringLength()};
}

/// A path that leads out of a folder, as none that the collector writes.
bool leadsAway(const std::string& path)
{
    for (std::size_t begin = 0; begin <= path.size();)
    {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const auto part = std::string_view(path).substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..")
            return true;
        begin = end + 1;
    }
    return path.find('\0') != std::string::npos;
}

Artifact artifactFrom(std::string_view line)
{
    const auto document = parsed(line);
    Artifact artifact{.path = textIn(document, "path"),
                      .mode = static_cast<unsigned>(numberIn(document, "mode")) & 0777U,
                      .size = numberIn(document, "size"),
                      .sha256 = textIn(document, "sha256")};
    if (leadsAway(artifact.path))
        throwChanged();
    return artifact;
}

} // namespace

std::optional<ArtifactManifest> ArtifactManifest::open(const std::filesystem::path& folder,
                                                       const std::string& sha256)
{
    auto file = sha256.empty() ? std::nullopt : openManifest(folder / manifestName);
    if (!file || !hasDigest(*file, sha256))
        return std::nullopt;
    ArtifactManifest manifest(std::move(*file));
    if (!manifest.readHead())
        return std::nullopt;
    return manifest;
}

bool ArtifactManifest::readHead()
{
    const auto first = line();
    if (!first)
        return false;
    const auto head = parsed(*first);
    if (numberIn(head, "version") > knownVersion)
        throw std::runtime_error(std::string(manifestName) + " is of a newer version");
    _name = textIn(head, "name");
    _files = numberIn(head, "files");
    _bytes = numberIn(head, "bytes");
    return true;
}

/// Returns a view that lasts until the next call; nothing at the end.
std::optional<std::string_view> ArtifactManifest::line()
{
    for (;;)
    {
        const std::size_t end = _block.find('\n', _at);
        if (end != std::string::npos)
        {
            const auto found = std::string_view(_block).substr(_at, end - _at);
            _at = end + 1;
            return found;
        }
        _block.erase(0, _at);
        _at = 0;
        const std::size_t had = _block.size();
        if (had > longestLine)
            throwChanged();
        _block.resize(had + blockBytes);
        const std::size_t got = _file.read(_offset, _block.data() + had, blockBytes);
        _offset += got;
        _block.resize(had + got);
        if (got > 0)
            continue;
        if (had > 0) // the collector ends each line
            throwChanged();
        return std::nullopt;
    }
}

std::optional<Artifact> ArtifactManifest::next()
{
    const auto text = line();
    return text ? std::optional(artifactFrom(*text)) : std::nullopt;
}

std::optional<Artifact> ArtifactManifest::find(std::string_view path)
{
    // Only one of a hundred thousand lines is to be parsed.
    rapidjson::StringBuffer key;
    rapidjson::Writer<rapidjson::StringBuffer> writer(key);
    writer.StartObject();
    writer.Key("path");
    writer.String(path.data(), static_cast<rapidjson::SizeType>(path.size()));
    const std::string_view beginning(key.GetString(), key.GetSize());
    while (const auto text = line())
        if (text->starts_with(beginning))
            return artifactFrom(*text);
    return std::nullopt;
}

} // namespace agent
