#pragma once

#include <string>

namespace agent
{

/// How a file that a stage made is given to a browser.
struct ArtifactType
{
    std::string contentType;
    bool shown = false; ///< in the browser; false: it is saved
};

/// Judges by the ending of its name: the content is a stranger's, and is not looked at.
ArtifactType artifactTypeOf(const std::string& path);

/// The value of Content-Disposition for the last name in `path`. Source: RFC 6266, RFC 8187.
std::string contentDisposition(const std::string& path, bool shown);

/// The Content-Security-Policy of every artifact: whatever a browser takes it for, it is in an origin of its own, runs no script, sends
/// no form, is in no frame, and loads nothing: a report of one file is shown as it is.
extern const char* const artifactPolicy;

} // namespace agent
