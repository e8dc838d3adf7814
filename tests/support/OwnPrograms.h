#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace agent::test
{

/// The agent's programs in a folder of a test's own, where some can be replaced: a daemon finds the others beside itself.
class OwnPrograms
{
public:
    /// `programs`: where agent, shim and the two helpers come from.
    explicit OwnPrograms(const std::filesystem::path& folder,
                         const std::filesystem::path& programs = STAGE_AGENT_BIN_DIR)
        : _folder(folder / "programs")
    {
        std::filesystem::create_directories(_folder / "real");
        for (const char* name : {"stage-agent", "stage-shim", "stage-cache", "stage-collector"})
            link(programs / name, _folder / name);
        for (const char* name : {"stage-cache", "stage-collector"})
            link(programs / name, real(name));
        link(std::filesystem::path(STAGE_AGENT_BIN_DIR) / "stage-plugin-host",
             _folder / "stage-plugin-host");
        std::filesystem::copy(std::filesystem::path(STAGE_AGENT_BIN_DIR) / "plugins",
                              _folder / "plugins", std::filesystem::copy_options::recursive);
    }

    [[nodiscard]] std::filesystem::path folder() const { return _folder; }

    /// The helper of this name, wherever it was replaced.
    [[nodiscard]] std::filesystem::path real(const std::string& helper) const
    {
        return _folder / "real" / helper;
    }

    /// `helper` is this shell script from its next start on.
    void replace(const std::string& helper, const std::string& script) const
    {
        const auto written = _folder / (helper + ".new");
        std::ofstream(written) << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(written, std::filesystem::perms::owner_all);
        std::filesystem::rename(written, _folder / helper);
    }

private:
    static void link(const std::filesystem::path& from, const std::filesystem::path& to)
    {
        std::error_code error;
        std::filesystem::create_hard_link(from, to, error);
        if (error) // of another file system
            std::filesystem::copy_file(from, to);
    }

    std::filesystem::path _folder;
};

} // namespace agent::test
