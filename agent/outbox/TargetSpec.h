#pragma once

#include "agent/document/Document.h"
#include "agent/model/PipelineSpec.h"
#include "agent/model/Report.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace agent
{

/// Where reports go: a file of outbox.d/. docs/outbox.md.
struct TargetSpec
{
    std::string name;
    std::string file;
    std::string type;   ///< `webhook`, `github`, `gitlab`, `gitea` or `seamless`
    std::string url;    ///< http or https, without user and fragment
    std::string secret; ///< the bytes that sign; empty: not signed
    std::string token;  ///< sent with each request; empty: none
    bool linkLocal =
        false; ///< its address may be one of the link, as that of a cloud's metadata is
    std::vector<std::string> services;
    std::vector<std::string> events; ///< of a webhook
    bool perStage = false;           ///< of a forge: one status for each stage, not for the run
    std::vector<std::string>
        hosts; ///< of a forge: as URLs of its repositories have them; empty: that of `url`
    std::int64_t logBytes = 4L * 1024 * 1024; ///< of seamless: of each log; 0: all

    [[nodiscard]] Subscription subscription() const;

    /// The hosts whose repositories are the forge's, in lower case; without `hosts` that of `url`, without
    /// the `api.` of api.github.com and api.NAME.ghe.com.
    [[nodiscard]] std::vector<std::string> repositoryHosts() const;

    bool operator==(const TargetSpec&) const = default;
};

/// Reads what a target's file holds. Errors: added to `problems`.
TargetSpec readTarget(const DocumentNode& root, const std::string& file,
                      const std::filesystem::path& secrets, std::vector<Problem>& problems);

/// Reads all *.yaml and *.yml of `folder`, in the order of their names, with the files in `secrets` that they name. A
/// missing folder has none.
/// Errors: added to `problems`; the file's target is left out, and the file's name is in `refused`.
std::vector<TargetSpec> readTargets(const std::filesystem::path& folder,
                                    const std::filesystem::path& secrets,
                                    std::vector<Problem>& problems,
                                    std::vector<std::string>& refused);

/// Returns a URL as it may be shown: without its query, which may hold a key.
std::string shownUrl(const std::string& url);

} // namespace agent
