#include "agent/wire/Seal.h"

#include "agent/os/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::string_view memberName = R"(,"mac":")";
constexpr std::size_t macDigits = 64;

/// What may follow the member: the end of the object, or the checksum of an outcome (wire/Order.cpp), which has its
/// own check.
bool endsFile(std::string_view rest)
{
    constexpr std::string_view checksum = R"(,"crc32c":"00000000"})";
    return rest == "}" || (rest.starts_with(checksum.substr(0, checksum.find('0'))) &&
                           rest.size() == checksum.size());
}

/// Takes the same time wherever they differ.
bool equal(std::string_view one, std::string_view other)
{
    unsigned difference = one.size() == other.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i)
        difference |= static_cast<unsigned char>(one[i]) ^ static_cast<unsigned char>(other[i]);
    return difference == 0;
}

} // namespace

std::string Seal::newKey()
{
    Sha256::Digest random{};
    if (::getentropy(random.data(), random.size()) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot make a random key");
    return toHex(random);
}

std::string Seal::text() const
{
    return none() ? std::string() : _attempt + " " + _key;
}

Seal Seal::fromText(std::string_view text)
{
    const std::size_t blank = text.find(' ');
    if (blank == std::string_view::npos)
        return {};
    return {std::string(text.substr(blank + 1)), std::string(text.substr(0, blank))};
}

std::string Seal::member(std::string_view file, std::string_view before) const
{
    if (none())
        return {};
    std::string message(file);
    message.append(1, '\0').append(_attempt).append(1, '\0').append(before);
    return std::string(memberName).append(toHex(hmacSha256(_key, message))).append("\"");
}

std::string Seal::on(std::string_view file, std::string json) const
{
    if (none())
        return json;
    json.pop_back();
    return json.append(member(file, json)).append("}");
}

bool Seal::proves(std::string_view file, std::string_view json) const
{
    if (none())
        return true;
    const std::size_t at = json.rfind(memberName);
    if (at == std::string_view::npos)
        return false;
    const std::string_view before = json.substr(0, at);
    const std::string_view given = json.substr(at, memberName.size() + macDigits + 1);
    return endsFile(json.substr(at + given.size())) && equal(given, member(file, before));
}

Seal sealOf(const Stage& stage)
{
    return stage.sealKey.empty()
               ? Seal()
               : Seal(stage.sealKey, stage.id + "." + std::to_string(stage.attempt));
}

} // namespace agent
