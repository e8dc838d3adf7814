#pragma once

#include "agent/os/Sha256.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace agent
{

/// Lays artifacts down as the collector does (docs/artifacts.md): contents in `<root>/objects`, the manifest in the
/// attempt's folder.
struct StoredArtifacts
{
    std::filesystem::path root;    ///< `<state>/artifacts`
    std::filesystem::path attempt; ///< folder of the attempt
    std::string name = "dist";
    unsigned mode = 0644;

    static std::string sha256(const std::string& bytes)
    {
        Sha256 hash;
        hash.update(bytes);
        return toHex(hash.digest());
    }

    static void write(const std::filesystem::path& file, const std::string& bytes)
    {
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << bytes;
    }

    [[nodiscard]] std::filesystem::path content(const std::string& digest) const
    {
        return root / "objects" / digest.substr(0, 2) / digest;
    }

    /// Returns the manifest's digest, which the record has.
    std::string keep(const std::map<std::string, std::string>& files) const
    {
        rapidjson::StringBuffer text;
        std::string lines;
        const auto take = [&]
        {
            lines.append(text.GetString(), text.GetSize()).push_back('\n');
            text.Clear();
        };
        std::size_t bytes = 0;
        for (const auto& [path, content] : files)
            bytes += content.size();
        {
            rapidjson::Writer<rapidjson::StringBuffer> out(text);
            out.StartObject();
            out.Key("version");
            out.Int(1);
            out.Key("name");
            out.String(name);
            out.Key("files");
            out.Uint64(files.size());
            out.Key("bytes");
            out.Uint64(bytes);
            out.EndObject();
            take();
        }
        for (const auto& [path, bytesOf] : files)
        {
            rapidjson::Writer<rapidjson::StringBuffer> out(text);
            const std::string digest = sha256(bytesOf);
            out.StartObject();
            out.Key("path");
            out.String(path);
            out.Key("mode");
            out.Uint(mode);
            out.Key("size");
            out.Uint64(bytesOf.size());
            out.Key("sha256");
            out.String(digest);
            out.EndObject();
            take();
            write(content(digest), bytesOf);
        }
        write(attempt / "artifacts.jsonl", lines);
        return sha256(lines);
    }
};

} // namespace agent
