#pragma once

#include "agent/api/Http.h"

#include <string>

namespace agent
{

/// What all paths begin with as clients see them, such as `/ci` behind a proxy that serves other things too.
/// Threads: any, immutable.
class BasePath
{
public:
    /// `path`: empty for none, else as isBasePath() wants it.
    explicit BasePath(std::string path = {});

    /// Takes it off the request's path, so that nothing else has to know it.
    /// Errors: Refusal 404 for a path outside of it; 308 from `/ci` to `/ci/`, where relative links lead on.
    void enter(Request& request) const;

    /// Puts it before the paths that the answer names in Location and Link.
    void leave(Response& response) const;

private:
    std::string _path;
    std::size_t _segments = 0;
};

/// Says whether it begins with `/`, does not end so, and has segments of letters, digits and `-._~` only,
/// none of them empty, `.` or `..`.
bool isBasePath(const std::string& path);

} // namespace agent
