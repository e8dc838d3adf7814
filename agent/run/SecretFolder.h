#pragma once

#include "agent/process/Launcher.h"
#include "agent/run/SecretMemory.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace agent
{

/// The files of secrets.dir, and the values that they had before: what a stage got is masked for as long as the daemon
/// lives (docs/secrets.md, "Rotation"). Copies remember together.
/// Threads: any.
class SecretFolder
{
public:
    /// So many values of each secret are remembered.
    static constexpr std::size_t mostValues = 16;

    SecretFolder() : SecretFolder(std::filesystem::path()) {}
    SecretFolder(std::filesystem::path path); // implicit: it stands for the folder
    SecretFolder(const char* path) : SecretFolder(std::filesystem::path(path)) {}

    /// Remembers in `memory` as well, and what stands there already.
    void rememberIn(SecretMemory memory) const;

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

    /// Reads anew what a stage gets: the values of `given`, with their names; then, with an empty name, what is to be
    /// masked besides: what `all` have now, and what any of these had before.
    /// Errors: std::runtime_error that names the secret of `given` and the reason. Others that can't be read have no value.
    [[nodiscard]] Secrets ofStage(const std::vector<std::string>& given,
                                  const std::vector<std::string>& all) const;

    /// Returns the values that `names` have and had, without what can't be read.
    [[nodiscard]] std::vector<std::string> values(const std::vector<std::string>& names) const;

private:
    struct History;

    std::filesystem::path _path;
    std::shared_ptr<History> _history;
};

/// Reads secrets, one trailing newline stripped. A file that others than its owner may read or write is refused.
/// Errors: std::runtime_error that names the secret and the reason.
Secrets readSecrets(const std::vector<std::string>& names, const std::filesystem::path& folder);

/// Returns what is to be said of secrets that mask ordinary words too (mayBeAWord()), a line each. Those that can't be
/// read are ignored.
std::vector<std::string> doubtfulSecrets(const std::vector<std::string>& names,
                                         const std::filesystem::path& folder);

/// Returns `text` with these secrets masked, as in a log, and the values that they had before.
std::string masked(const std::string& text, const std::vector<std::string>& names,
                   const SecretFolder& secrets);

} // namespace agent
