#pragma once

#include "plugins/git/Mirror.h"

#include <string>

namespace agent::git
{

/// The file with the run's stages, where the agent asks for it: `STAGE_AGENT_PIPELINE` is its path in the repository,
/// `STAGE_AGENT_PIPELINE_REF` the ref whose file it is (empty: that of the checkout), `STAGE_AGENT_PIPELINE_COPY` the file
/// in which the agent takes it. That is in the attempt's folder, which no sandbox shows.
///
/// The copy is a line and, behind it, the file's bytes: `file ID`, with git's id of the content, or why there is none.
class PipelineFile
{
public:
    static PipelineFile read();

    [[nodiscard]] bool wanted() const { return !_path.empty(); }

    /// Has git read the file from the mirror, as it is in `commit` or in the ref, and writes the copy, synced: when this
    /// process has ended well, a power cut does not take it.
    /// Errors: Failure.
    void handOver(const Repository& repository, Mirror& mirror, const std::string& commit) const;

private:
    [[nodiscard]] std::string contentOf(const Repository& repository, const std::string& mirror,
                                        const std::string& commit) const;
    void write(const std::string& content) const;

    std::string _path;
    std::string _ref;
    std::string _copy;
};

} // namespace agent::git
