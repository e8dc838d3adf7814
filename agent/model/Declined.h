#pragma once

#include <exception>
#include <string>
#include <utility>

namespace agent
{

/// A request that can't be carried out; nothing was changed. Mapped to an HTTP status in one place (api/Routes).
class Declined: public std::exception
{
public:
    enum class Kind
    {
        Invalid,     ///< 400: invalid request; `field` names the field
        Forbidden,   ///< 403: not his to decide
        NotFound,    ///< 404
        Conflict,    ///< 409: not in this state
        Changed,     ///< 412: If-Match names another version
        Overloaded,  ///< 429: too much is waiting already, or too little disk is left; retry later
        Unavailable, ///< 503: retry later; disk, shutdown
    };

    Declined(Kind why, std::string errorCode, std::string text, std::string atField = "")
        : kind(why), code(std::move(errorCode)), message(std::move(text)), field(std::move(atField))
    {
    }

    /// The usual ones by name. `field` is the key of the request that is wrong.
    static Declined invalid(const std::string& field, const std::string& text)
    {
        return {Kind::Invalid, "invalid_value", text, field};
    }
    static Declined conflict(const std::string& code, const std::string& text)
    {
        return {Kind::Conflict, code, text};
    }
    static Declined notFound(const std::string& code, const std::string& text)
    {
        return {Kind::NotFound, code, text};
    }
    static Declined overloaded(const std::string& code, const std::string& text)
    {
        return {Kind::Overloaded, code, text};
    }
    static Declined unavailable(const std::string& code, const std::string& text)
    {
        return {Kind::Unavailable, code, text};
    }

    [[nodiscard]] const char* what() const noexcept override { return message.c_str(); }

    Kind kind;
    std::string code;
    std::string message;
    std::string field;
};

} // namespace agent
