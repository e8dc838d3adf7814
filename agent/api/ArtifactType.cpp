#include "agent/api/ArtifactType.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace agent
{

namespace
{

struct Ending
{
    std::string_view ending;
    std::string_view contentType;
};

constexpr std::string_view plain = "text/plain; charset=utf-8";

// What a browser shows. XML is text: as such it would be no more than that.
constexpr std::array shownEndings{
    Ending{".html", "text/html; charset=utf-8"},
    Ending{".htm", "text/html; charset=utf-8"},
    Ending{".png", "image/png"},
    Ending{".jpg", "image/jpeg"},
    Ending{".jpeg", "image/jpeg"},
    Ending{".gif", "image/gif"},
    Ending{".webp", "image/webp"},
    Ending{".svg", "image/svg+xml"},
    Ending{".json", "application/json"},
    Ending{".txt", plain},
    Ending{".log", plain},
    Ending{".out", plain},
    Ending{".err", plain},
    Ending{".md", plain},
    Ending{".csv", plain},
    Ending{".tsv", plain},
    Ending{".xml", plain},
    Ending{".yaml", plain},
    Ending{".yml", plain},
    Ending{".toml", plain},
    Ending{".ini", plain},
    Ending{".diff", plain},
    Ending{".patch", plain},
};

std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c)
                   { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

/// Source: RFC 8187, attr-char.
bool isPlain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos;
}

std::string escaped(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text)
    {
        if (isPlain(c))
        {
            result += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        result += '%';
        result += digits[byte >> 4U];
        result += digits[byte & 0xFU];
    }
    return result;
}

} // namespace

const char* const artifactPolicy =
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

ArtifactType artifactTypeOf(const std::string& path)
{
    const std::string name = lower(path.substr(path.rfind('/') + 1));
    for (const auto& [ending, contentType] : shownEndings)
        if (name.ends_with(ending))
            return {.contentType = std::string(contentType), .shown = true};
    return {.contentType = "application/octet-stream", .shown = false};
}

std::string contentDisposition(const std::string& path, bool shown)
{
    const std::string name = path.substr(path.rfind('/') + 1);
    std::string fallback = name;
    for (char& c : fallback)
        c = c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '_';
    std::string value = shown ? "inline" : "attachment";
    value.append("; filename=\"").append(fallback).append("\"");
    if (fallback != name)
        value.append("; filename*=UTF-8''").append(escaped(name));
    return value;
}

} // namespace agent
