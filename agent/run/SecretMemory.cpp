#include "agent/run/SecretMemory.h"

#include "agent/os/Files.h"

#include <cstddef>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr off_t mostBytes = 4L << 20;

std::string recordOf(const SecretMemory::Value& value)
{
    std::string record = value.first;
    record.push_back('\0');
    record.append(value.second).push_back('\0');
    return record;
}

off_t sizeOf(const FileDescriptor& file)
{
    struct stat info = {};
    return file.valid() && ::fstat(file.get(), &info) == 0 ? info.st_size : 0;
}

} // namespace

std::vector<SecretMemory::Value> SecretMemory::values() const
{
    std::vector<Value> all;
    if (!_file.valid() || ::lseek(_file.get(), 0, SEEK_SET) != 0)
        return all;
    const std::string text = readAll(_file.get()).value_or("");
    std::string_view rest = text;
    while (true)
    {
        const auto nameEnd = rest.find('\0');
        const auto valueEnd = nameEnd == rest.npos ? rest.npos : rest.find('\0', nameEnd + 1);
        if (valueEnd == rest.npos)
            return all;
        all.emplace_back(rest.substr(0, nameEnd), rest.substr(nameEnd + 1, valueEnd - nameEnd - 1));
        rest.remove_prefix(valueEnd + 1);
    }
}

void SecretMemory::add(const Value& value) const
{
    if (_file.valid() && ::lseek(_file.get(), 0, SEEK_END) >= 0)
        (void)writeAll(_file.get(),
                       recordOf(value)); // without memory for it, this daemon's own has to do
}

bool SecretMemory::large() const
{
    return sizeOf(_file) > mostBytes;
}

void SecretMemory::replace(const std::vector<Value>& values) const
{
    std::string text;
    for (const Value& value : values)
        text += recordOf(value);
    if (_file.valid() && ::lseek(_file.get(), 0, SEEK_SET) == 0 && writeAll(_file.get(), text))
        (void)::ftruncate(_file.get(), static_cast<off_t>(text.size()));
    ::explicit_bzero(text.data(), text.size());
}

} // namespace agent
