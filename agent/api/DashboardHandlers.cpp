// Files that are part of the program: the dashboard, and the description of the API.
#include "agent/api/DashboardFiles.h"
#include "agent/api/Routes.h"

#include <Poco/Base64Encoder.h>
#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <map>
#include <optional>
#include <sstream>
#include <string_view>

namespace agent
{

namespace
{

constexpr std::string_view description = "openapi.yaml";
constexpr std::string_view page = "index.html";
constexpr std::string_view style = "style.css";
constexpr std::string_view styleLink = R"(<link rel="stylesheet" href="dashboard/style.css">)";
constexpr std::string_view begin = "start.js";
constexpr std::string_view beginLink =
    R"(<script type="module" src="dashboard/start.js"></script>)";

/// Nothing of the page comes from elsewhere, nothing is script or style but its own files, no text becomes
/// markup, and no other site may frame it. The hashes are of the style and the script that stand in the page.
std::string securityPolicy(const std::string& styleHash, const std::string& scriptHash)
{
    return "default-src 'none'; script-src 'self' 'sha256-" + scriptHash +
           "'; style-src 'self' 'sha256-" + styleHash +
           "'; img-src 'self'; connect-src 'self'; "
           "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
           "require-trusted-types-for 'script'; trusted-types 'none'";
}

std::string contentType(std::string_view name)
{
    if (name.ends_with(".html"))
        return "text/html; charset=utf-8";
    if (name.ends_with(".js"))
        return "text/javascript; charset=utf-8";
    if (name.ends_with(".css"))
        return "text/css; charset=utf-8";
    if (name.ends_with(".yaml"))
        return "application/yaml";
    return "image/svg+xml";
}

Poco::DigestEngine::Digest sha256(std::string_view bytes)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(bytes.data(), bytes.size());
    return engine.digest();
}

std::string base64(const Poco::DigestEngine::Digest& digest)
{
    std::ostringstream text;
    Poco::Base64Encoder encoder(text);
    encoder.write(reinterpret_cast<const char*>(digest.data()), std::ssize(digest));
    encoder.close();
    return text.str();
}

struct ServedFile
{
    explicit ServedFile(std::string_view name, std::string content)
        : type(contentType(name)),
          etag("\"" + Poco::DigestEngine::digestToHex(sha256(content)).substr(0, 32) + "\""),
          bytes(std::make_shared<const std::string>(std::move(content)))
    {
    }

    std::string type;
    std::string etag;
    std::shared_ptr<const std::string> bytes;
};

struct Served
{
    std::map<std::string, ServedFile, std::less<>> files; ///< of the dashboard
    std::optional<ServedFile> description;
    std::string policy;
};

void putInPlace(std::string& html, std::string_view link, const std::string& content)
{
    if (const auto at = html.find(link); at != std::string::npos)
        html.replace(at, link.size(), content);
}

/// Style and first script go out within the page: the browser paints as soon as it has that one file, and
/// need not ask for more.
Served prepare()
{
    Served served;
    std::string html;
    std::string css;
    std::string script;
    for (const auto& file : dashboardFiles())
    {
        if (file.name == description)
            served.description.emplace(file.name, std::string(file.bytes));
        else if (file.name == page)
            html = file.bytes;
        else
            served.files.emplace(file.name, ServedFile(file.name, std::string(file.bytes)));
        if (file.name == style)
            css = file.bytes;
        if (file.name == begin)
            script = file.bytes;
    }
    putInPlace(html, styleLink, "<style>" + css + "</style>");
    putInPlace(html, beginLink, "<script type=\"module\">" + script + "</script>");
    served.files.emplace(page, ServedFile(page, std::move(html)));
    served.policy = securityPolicy(base64(sha256(css)), base64(sha256(script)));
    return served;
}

const Served& served()
{
    static const Served files = prepare();
    return files;
}

/// The file, or that the client has it already.
Response answerWith(const ServedFile& file, const Request& request)
{
    Response response{.contentType = file.type};
    response.headers = {
        {"Cache-Control", "no-cache"}, {"ETag", file.etag}, {"X-Content-Type-Options", "nosniff"}};
    if (request.header("if-none-match").find(file.etag) != std::string::npos)
        response.status = 304;
    else
        response.cached = file.bytes;
    return response;
}

} // namespace

Response apiDescription(const ApiParts&, const Request& request, const std::string&)
{
    return answerWith(served().description.value(), request);
}

Response dashboardFile(const ApiParts&, const Request& request, const std::string& name)
{
    const auto found = served().files.find(name.empty() ? page : std::string_view(name));
    if (found == served().files.end())
        throw Refusal{404, "not_found", "the dashboard has no file '" + name + "'", ""};
    Response response = answerWith(found->second, request);
    response.headers.insert({{"Content-Security-Policy", served().policy},
                             {"Cross-Origin-Opener-Policy", "same-origin"},
                             {"Cross-Origin-Resource-Policy", "same-origin"},
                             {"Referrer-Policy", "no-referrer"}});
    return response;
}

} // namespace agent
