#include "agent/api/ByteRange.h"

#include "agent/api/LogPlace.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

std::optional<ByteRange> rangeOf(const std::string& header, std::int64_t size,
                                 const std::string& what)
{
    if (!header.starts_with("bytes=") || header.find(',') != std::string::npos)
        return std::nullopt;
    const std::string spec = header.substr(6);
    const auto dash = spec.find('-');
    if (dash == std::string::npos)
        return std::nullopt;
    const auto first = wholeNumber(std::string_view(spec).substr(0, dash));
    const auto last = wholeNumber(std::string_view(spec).substr(dash + 1));
    ByteRange range;
    if (dash == 0)
    {
        if (!last)
            return std::nullopt;
        range = {std::max<std::int64_t>(0, size - *last), size - 1};
    }
    else if (!first || (dash + 1 < spec.size() && (!last || *last < *first)))
        return std::nullopt;
    else
        range = {*first, std::min(last.value_or(size - 1), size - 1)};
    if (range.first >= size)
        throw Refusal{416,
                      "range_not_satisfiable",
                      what + " has " + std::to_string(size) + " bytes",
                      "Range",
                      {{"Content-Range", "bytes */" + std::to_string(size)}}};
    return range;
}

std::string contentRange(const ByteRange& range, std::optional<std::int64_t> size)
{
    return "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" +
           (size ? std::to_string(*size) : "*");
}

std::shared_ptr<int> ownedCopy(int descriptor)
{
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw std::system_error(errno, std::generic_category(), "fcntl");
    return {new int(copy), [](int* fd)
            {
                ::close(*fd);
                delete fd;
            }};
}

} // namespace agent
