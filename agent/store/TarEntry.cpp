#include "agent/store/TarEntry.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace agent
{

namespace
{

constexpr std::size_t nameBytes = 100;
constexpr std::int64_t largestSize = 077777777777; ///< of eleven octal digits

/// Source: POSIX.1-2017, pax, "ustar Interchange Format".
struct Header
{
    char name[nameBytes];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char linkName[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char deviceMajor[8];
    char deviceMinor[8];
    char prefix[155];
    char padding[12];
};
static_assert(sizeof(Header) == tarBlock);

template <std::size_t Size> void putOctal(char (&field)[Size], std::uint64_t number)
{
    char digits[32];
    std::snprintf(digits, sizeof digits, "%0*lo", static_cast<int>(Size - 1), number);
    std::memcpy(field, digits, Size);
}

std::string header(const std::string& name, char type, unsigned mode, std::int64_t size,
                   TimeMs writtenAt)
{
    Header block = {};
    std::memcpy(block.name, name.data(), std::min(name.size(), nameBytes));
    putOctal(block.mode, mode & 0777U);
    putOctal(block.uid, 0);
    putOctal(block.gid, 0);
    putOctal(block.size, static_cast<std::uint64_t>(std::min(size, largestSize)));
    putOctal(block.mtime, static_cast<std::uint64_t>(std::max<TimeMs>(0, writtenAt / 1000)));
    block.type = type;
    std::memcpy(block.magic, "ustar", sizeof block.magic);
    std::memcpy(block.version, "00", sizeof block.version);
    std::memset(block.checksum, ' ', sizeof block.checksum);
    std::string bytes(reinterpret_cast<const char*>(&block), sizeof block);
    std::uint64_t sum = 0;
    for (const char byte : bytes)
        sum += static_cast<unsigned char>(byte);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06lo", sum);
    bytes.replace(offsetof(Header, checksum), 7, digits, 7);
    return bytes;
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
std::string record(const std::string& key, const std::string& value)
{
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (rest + std::to_string(length).size() != length)
        length = rest + std::to_string(length).size();
    return std::to_string(length) + " " + key + "=" + value + "\n";
}

bool isAscii(const std::string& text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

} // namespace

std::string tarHeader(const std::string& path, unsigned mode, std::int64_t size, TimeMs writtenAt)
{
    std::string extended;
    if (path.size() > nameBytes || !isAscii(path))
        extended += record("path", path);
    if (size > largestSize)
        extended += record("size", std::to_string(size));
    std::string bytes;
    if (!extended.empty())
    {
        const auto length = static_cast<std::int64_t>(extended.size());
        bytes = header("pax", 'x', 0644, length, writtenAt);
        bytes.append(extended).append(tarPadding(length));
    }
    return bytes + header(path, '0', mode, size, writtenAt);
}

std::string tarPadding(std::int64_t size)
{
    const std::size_t over = static_cast<std::size_t>(size) % tarBlock;
    return std::string(over == 0 ? 0 : tarBlock - over, '\0');
}

std::string tarEnd()
{
    return std::string(2 * tarBlock, '\0');
}

} // namespace agent
