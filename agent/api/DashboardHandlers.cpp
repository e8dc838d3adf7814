#include "agent/api/DashboardFiles.h"
#include "agent/api/Routes.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <map>
#include <string_view>

namespace agent
{

namespace
{

// Nothing of the page comes from elsewhere, nothing is script or style but its own files, no text becomes
// markup, and no other site may frame it.
constexpr const char* contentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

constexpr std::string_view page = "index.html";

std::string contentType(std::string_view name)
{
    if (name.ends_with(".html"))
        return "text/html; charset=utf-8";
    if (name.ends_with(".js"))
        return "text/javascript; charset=utf-8";
    if (name.ends_with(".css"))
        return "text/css; charset=utf-8";
    return "image/svg+xml";
}

std::string etagOf(std::string_view bytes)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(bytes.data(), bytes.size());
    return "\"" + Poco::DigestEngine::digestToHex(engine.digest()).substr(0, 32) + "\"";
}

struct ServedFile
{
    std::string type;
    std::string etag;
    std::shared_ptr<const std::string> bytes;
};

const std::map<std::string, ServedFile, std::less<>>& servedFiles()
{
    static const auto all = []
    {
        std::map<std::string, ServedFile, std::less<>> files;
        for (const auto& file : dashboardFiles())
            files.emplace(file.name,
                          ServedFile{.type = contentType(file.name),
                                     .etag = etagOf(file.bytes),
                                     .bytes = std::make_shared<const std::string>(file.bytes)});
        return files;
    }();
    return all;
}

} // namespace

Response dashboardFile(const ApiParts&, const Request& request, const std::string& name)
{
    const auto found = servedFiles().find(name.empty() ? page : std::string_view(name));
    if (found == servedFiles().end())
        throw Refusal{404, "not_found", "the dashboard has no file '" + name + "'", ""};
    const ServedFile& file = found->second;
    Response response{.contentType = file.type};
    response.headers = {{"Cache-Control", "no-cache"},
                        {"Content-Security-Policy", contentSecurityPolicy},
                        {"Cross-Origin-Opener-Policy", "same-origin"},
                        {"Cross-Origin-Resource-Policy", "same-origin"},
                        {"ETag", file.etag},
                        {"Referrer-Policy", "no-referrer"},
                        {"X-Content-Type-Options", "nosniff"}};
    if (request.header("if-none-match").find(file.etag) != std::string::npos)
        response.status = 304;
    else
        response.cached = file.bytes;
    return response;
}

} // namespace agent
