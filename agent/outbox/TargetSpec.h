#pragma once

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
    std::string type;   ///< `webhook`
    std::string url;    ///< http or https, without user and fragment
    std::string secret; ///< the bytes that sign; empty: not signed
    std::string token;  ///< sent as `Authorization: Bearer`; empty: none
    bool linkLocal =
        false; ///< its address may be one of the link, as that of a cloud's metadata is
    std::vector<std::string> services;
    std::vector<std::string> events;

    [[nodiscard]] Subscription subscription() const { return {name, services, events}; }

    bool operator==(const TargetSpec&) const = default;
};

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
