// The reader on any log with any index. The first byte chooses the index: even, the right one for chunks of the
// sizes in the next bytes, to a zero, and torn by as many bytes as it says; odd, what follows as it is, to the
// last 0xFF. The rest is the log.
#include "agent/store/LogReader.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace
{

using agent::LogIndexRecord;
using agent::LogLine;
using agent::LogReader;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

struct Folder
{
    Folder()
    {
        char name[] = "/dev/shm/log-index-fuzz-XXXXXX"; // a disk would be the bottleneck
        require(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void write(const char* name, std::string_view bytes) const
    {
        std::ofstream(path / name, std::ios::binary | std::ios::trunc) << bytes;
    }

    std::filesystem::path path;
};

std::string rightIndex(std::string_view log, std::string_view sizes, std::size_t torn)
{
    std::string index;
    std::uint64_t offset = 0;
    for (std::size_t i = 0; offset < log.size(); ++i)
    {
        const std::uint64_t left = log.size() - offset;
        const std::uint64_t size =
            i < sizes.size() ? std::min<std::uint64_t>(left, static_cast<std::uint8_t>(sizes[i]))
                             : left;
        LogIndexRecord record;
        record.offset = offset;
        record.line = static_cast<std::uint64_t>(
            std::count(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
        record.timeUs = static_cast<std::int64_t>(i) * 1000;
        record.bytes = static_cast<std::uint32_t>(size);
        index.append(reinterpret_cast<const char*>(&record), sizeof record);
        offset += size;
    }
    index.resize(index.size() - std::min(torn, index.size()));
    return index;
}

/// All lines, page by page; none when a page makes no progress, as an index of nonsense may bring about.
std::vector<LogLine> allLines(LogReader& reader, std::size_t page, std::size_t atMost)
{
    std::vector<LogLine> all;
    std::uint64_t after = 0;
    while (all.size() <= atMost)
    {
        auto lines = reader.lines(after, page);
        if (lines.empty())
            break;
        require(lines.front().number > after);
        after = lines.back().number;
        std::move(lines.begin(), lines.end(), std::back_inserter(all));
    }
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Folder folder;
    std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty())
        return 0;
    const auto choice = static_cast<std::uint8_t>(input.front());
    const bool right = choice % 2 == 0;
    input.remove_prefix(1);
    const std::size_t cut = std::min(right ? input.find('\0') : input.rfind('\xFF'), input.size());
    const std::string_view first = input.substr(0, cut);
    const std::string_view log = input.substr(std::min(cut + 1, input.size()));
    folder.write("log", log);
    folder.write("log.idx", right ? rightIndex(log, first, choice / 2) : std::string(first));

    auto reader = LogReader::open(folder.path);
    require(reader && reader->size() == log.size());
    std::string whole(log.size() + 1, '\0');
    require(reader->read(0, whole.data(), whole.size()) == log.size() &&
            whole.compare(0, log.size(), log) == 0);
    for (std::uint64_t at = 0; at < log.size(); at += 1 + log.size() / 16)
        require(reader->chunkOf(at).offset <= at);
    require(reader->tail(3) <= log.size() && reader->since(2) <= log.size());
    static_cast<void>(LogReader::open(folder.path, LogReader::Extent::Indexed)->lines(0, 10));

    const auto expected = static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n')) +
                          (log.empty() || log.back() == '\n' ? 0 : 1);
    const auto lines = allLines(*reader, 1 + choice % 7, expected);
    if (!right)
        return 0;
    require(lines.size() == expected && reader->lineCount() == expected);
    std::string joined;
    for (const LogLine& line : lines)
        joined += line.text + (line.whole ? "\n" : "");
    if (log.size() <= LogReader::maxLineBytes)
        require(joined == log && (lines.empty() || lines.back().number == expected));
    return 0;
}
