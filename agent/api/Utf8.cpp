#include "agent/api/Utf8.h"

#include <rapidjson/encodings.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/stringbuffer.h>

namespace agent
{

std::string validUtf8(std::string_view text)
{
    rapidjson::MemoryStream in(text.data(), text.size());
    rapidjson::StringBuffer out;
    while (in.Tell() < text.size())
    {
        unsigned point = 0;
        const std::size_t start = in.Tell();
        if (rapidjson::UTF8<>::Decode(in, &point) && in.Tell() <= text.size())
            rapidjson::UTF8<>::Encode(out, point);
        else
        {
            rapidjson::UTF8<>::Encode(out, 0xfffd);
            in.src_ = in.begin_ + start + 1;
        }
    }
    return {out.GetString(), out.GetSize()};
}

} // namespace agent
