#pragma once

#include <exception>
#include <string>
#include <utility>

namespace agent
{

/// Something asked for that can't be done as things stand. Becomes an HTTP status in one place
/// (api/Routes), and nothing was changed.
class Declined: public std::exception
{
public:
    enum class Kind
    {
        Invalid,     ///< 400: the request is wrong; `field` says where
        NotFound,    ///< 404
        Conflict,    ///< 409: not in this state
        Changed,     ///< 412: If-Match names another version
        Unavailable, ///< 503: try again; disk, shutdown
    };

    Declined(Kind why, std::string errorCode, std::string text, std::string atField = "")
        : kind(why), code(std::move(errorCode)), message(std::move(text)), field(std::move(atField))
    {
    }

    [[nodiscard]] const char* what() const noexcept override { return message.c_str(); }

    Kind kind;
    std::string code;
    std::string message;
    std::string field;
};

} // namespace agent
