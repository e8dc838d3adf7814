#include "agent/api/BasePath.h"

#include <algorithm>

namespace agent
{

BasePath::BasePath(std::string path)
    : _path(std::move(path)),
      _segments(static_cast<std::size_t>(std::count(_path.begin(), _path.end(), '/')))
{
}

void BasePath::enter(Request& request) const
{
    if (_path.empty())
        return;
    if (request.path == _path)
        throw Refusal{.status = 308,
                      .code = "moved",
                      .message = "the agent's paths begin with " + _path + "/",
                      .field = "",
                      .headers = {{"Location", _path + "/"}}};
    if (!request.path.starts_with(_path + "/"))
        throw Refusal{.status = 404,
                      .code = "not_found",
                      .message = "there is nothing at " + request.path +
                                 "; the agent's paths begin with " + _path + "/",
                      .field = ""};
    request.path.erase(0, _path.size());
    auto& segments = request.segments;
    segments.erase(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(_segments));
    if (request.path == "/")
        segments.clear();
}

void BasePath::leave(Response& response) const
{
    if (_path.empty())
        return;
    if (const auto at = response.headers.find("Location");
        at != response.headers.end() && at->second.starts_with('/'))
        at->second.insert(0, _path);
    if (const auto at = response.headers.find("Link");
        at != response.headers.end() && at->second.starts_with("</"))
        at->second.insert(1, _path);
}

bool isBasePath(const std::string& path)
{
    const auto plain = [](char c)
    {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
    };
    const std::string closed = path + "/";
    return path.starts_with('/') && std::all_of(path.begin(), path.end(), plain) &&
           closed.find("//") == std::string::npos && closed.find("/./") == std::string::npos &&
           closed.find("/../") == std::string::npos;
}

} // namespace agent
