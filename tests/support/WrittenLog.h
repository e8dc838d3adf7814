#pragma once

#include "agent/store/LogReader.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

/// An attempt's folder whose log is written as the shim does it: the bytes, then the record.
class WrittenLog
{
public:
    WrittenLog()
    {
        const char* base = std::getenv("TMPDIR");
        std::string name = std::string(base != nullptr ? base : "/tmp") + "/log-reader-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("mkdtemp");
        folder = name;
        appendTo("log", "");
    }
    WrittenLog(const WrittenLog&) = delete;
    WrittenLog& operator=(const WrittenLog&) = delete;
    ~WrittenLog()
    {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }

    void appendTo(const char* name, std::string_view bytes) const
    {
        std::ofstream(folder / name, std::ios::binary | std::ios::app) << bytes;
    }

    void chunk(std::string_view bytes, std::int64_t timeMs = 0, std::uint8_t stream = 1)
    {
        appendTo("log", bytes);
        record({.offset = all.size(), .line = lines, .timeUs = timeMs * 1000, .stream = stream});
        all += bytes;
        lines += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    }

    void record(const agent::LogIndexRecord& record) const
    {
        appendTo("log.idx", {reinterpret_cast<const char*>(&record), sizeof record});
    }

    [[nodiscard]] agent::LogReader reader() const { return agent::LogReader::open(folder).value(); }

    std::filesystem::path folder;
    std::string all;
    std::uint64_t lines = 0;
};

inline std::string textOf(agent::LogReader& reader)
{
    std::string text(reader.size() + 10, '?');
    text.resize(reader.read(0, text.data(), text.size()));
    return text;
}

inline std::string contentOf(const std::filesystem::path& file)
{
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

/// `1:text|2:text|`, with `...` for a last line without its end.
inline std::string shown(const std::vector<agent::LogLine>& lines)
{
    std::string text;
    for (const agent::LogLine& line : lines)
        text += std::to_string(line.number) + ":" + line.text + (line.whole ? "|" : "...");
    return text;
}
