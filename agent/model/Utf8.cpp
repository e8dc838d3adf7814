#include "agent/model/Utf8.h"

namespace agent
{

std::size_t utf8LengthAt(std::string_view text, std::size_t at)
{
    const auto byte = [&](std::size_t i)
    { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const unsigned first = byte(at);
    const unsigned second = byte(at + 1);
    const auto follows = [&](std::size_t count)
    {
        for (std::size_t i = 1; i <= count; ++i)
            if ((byte(at + i) & 0xc0U) != 0x80)
                return false;
        return true;
    };
    if (first < 0x80)
        return at < text.size() ? 1 : 0;
    if (first >= 0xc2 && first <= 0xdf && follows(1))
        return 2;
    if (first >= 0xe0 && first <= 0xef && follows(2) && !(first == 0xe0 && second < 0xa0) &&
        !(first == 0xed && second > 0x9f))
        return 3;
    if (first >= 0xf0 && first <= 0xf4 && follows(3) && !(first == 0xf0 && second < 0x90) &&
        !(first == 0xf4 && second > 0x8f))
        return 4;
    return 0;
}

bool isUtf8(std::string_view text)
{
    for (std::size_t at = 0; at < text.size();)
    {
        const std::size_t length = utf8LengthAt(text, at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

std::string validUtf8(std::string_view text)
{
    std::string valid;
    valid.reserve(text.size());
    for (std::size_t at = 0; at < text.size();)
    {
        const std::size_t length = utf8LengthAt(text, at);
        valid.append(length > 0 ? text.substr(at, length) : std::string_view("\xef\xbf\xbd"));
        at += length > 0 ? length : 1;
    }
    return valid;
}

} // namespace agent
