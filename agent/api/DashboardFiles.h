#pragma once

#include <span>
#include <string_view>

namespace agent
{

/// A file of the dashboard, or the description of the API, as it stood when the daemon was built.
struct DashboardFile
{
    std::string_view name; ///< without a folder: `run.js`
    std::string_view bytes;
};

/// All of them. Source: made by agent/dashboard/Embed.cmake.
std::span<const DashboardFile> dashboardFiles();

} // namespace agent
