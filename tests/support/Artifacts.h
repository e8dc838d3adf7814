#pragma once

#include "agent/os/Sha256.h"
#include "tests/support/FilesFolder.h"

#include <rapidjson/document.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include <sys/stat.h>

/// What tests ask of a store of artifacts: docs/artifacts.md, "On disk".
namespace agent::test
{

struct KeptFile
{
    unsigned mode = 0;
    std::int64_t size = 0;
    std::string digest;
};

inline std::string bytesOf(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::string sha256Of(const std::string& bytes)
{
    Sha256 hash;
    hash.update(bytes);
    return toHex(hash.digest());
}

/// The files of a manifest by their paths. Errors: std::runtime_error where it is none, or not in order.
inline std::map<std::string, KeptFile> manifestIn(const std::filesystem::path& file)
{
    std::istringstream lines(bytesOf(file));
    std::map<std::string, KeptFile> files;
    std::string line;
    std::string last;
    bool first = true;
    std::int64_t expected = 0;
    while (std::getline(lines, line))
    {
        rapidjson::Document json;
        json.Parse(line.data(), line.size());
        if (json.HasParseError() || !json.IsObject())
            throw std::runtime_error("no manifest: " + line);
        if (std::exchange(first, false))
        {
            expected = json["files"].GetInt64();
            continue;
        }
        const std::string path(json["path"].GetString(), json["path"].GetStringLength());
        if (path <= last)
            throw std::runtime_error("not in order: " + line);
        last = path;
        files[path] = {.mode = json["mode"].GetUint(),
                       .size = json["size"].GetInt64(),
                       .digest = json["sha256"].GetString()};
    }
    if (first || expected != static_cast<std::int64_t>(files.size()))
        throw std::runtime_error("the manifest is not whole");
    return files;
}

inline std::filesystem::path objectOf(const std::filesystem::path& store, const std::string& digest)
{
    return store / "objects" / digest.substr(0, 2) / digest;
}

/// The contents of the store by their digests, each read and held against its name.
/// Errors: std::runtime_error for one that is torn.
inline std::map<std::string, std::string> contentsIn(const std::filesystem::path& store)
{
    std::map<std::string, std::string> contents;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(store / "objects", error))
        if (entry.is_regular_file())
        {
            std::string bytes = bytesOf(entry.path());
            const std::string name = entry.path().filename().string();
            if (sha256Of(bytes) != name)
                throw std::runtime_error("torn: " + name);
            contents[name] = std::move(bytes);
        }
    return contents;
}

/// Regular files and links below `folder`, each once.
inline std::size_t filesBelow(const std::filesystem::path& folder)
{
    std::size_t count = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
        count += entry.is_directory() ? 0 : 1;
    return count;
}

} // namespace agent::test
