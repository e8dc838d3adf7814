#pragma once

#include "agent/ctl/Client.h"
#include "agent/ctl/ProgressBar.h"

#include <rapidjson/document.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace agent::ctl
{

/// A file that a stage left, as the agent lists it.
struct RemoteFile
{
    std::string stageId;
    std::string stageTitle; ///< for display
    std::string path;
    unsigned mode = 0644;
    std::int64_t size = 0;
    std::string sha256;
};

/// Returns the file that `json` lists. Errors: Failure AgentFailed for one that is none: a path that would lead out of the
/// folder that it is put into, or a digest that is none.
RemoteFile remoteFileFrom(const rapidjson::Value& json);

/// Brings files of an agent into a folder. A file has its name only when it is whole and its SHA-256 is right; until then it is
/// NAME.part, which a later download goes on with.
class Download
{
public:
    Download(const Client& client, std::filesystem::path folder, ProgressBar& progress)
        : _client(client), _folder(std::move(folder)), _progress(progress)
    {
    }

    /// Returns whether it was fetched; false: it stood there already. A lost connection is taken up again where it broke, for two
    /// minutes. Errors: Failure; Usage when it can't be written.
    bool fetch(const RemoteFile& file);

private:
    [[nodiscard]] bool isThere(const std::filesystem::path& target, const RemoteFile& file) const;

    const Client& _client;
    std::filesystem::path _folder;
    ProgressBar& _progress;
};

} // namespace agent::ctl
