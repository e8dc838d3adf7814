#include "agent/os/Journal.h"

#include <cstdlib>
#include <iostream>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::journal
{

namespace
{

enum class Priority // sd-daemon(3)
{
    Error = 3,
    Warning = 4,
    Info = 6
};

/// Returns whether stdout is the stream that systemd named: a shell below a unit may have sent it elsewhere.
/// Source: systemd.exec(5), $JOURNAL_STREAM.
bool journalReads()
{
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat info = {};
    return stream != nullptr && ::fstat(STDOUT_FILENO, &info) == 0 &&
           std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) == stream;
}

/// Returns what tells the priority: to the journal, or to a person.
std::string mark(Priority priority)
{
    static const bool toJournal = journalReads();
    if (toJournal)
        return "<" + std::to_string(static_cast<int>(priority)) + ">";
    return priority == Priority::Error     ? "error: "
           : priority == Priority::Warning ? "warning: "
                                           : "";
}

void say(Priority priority, const std::string& line)
{
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    std::string safe = line;
    for (char& c : safe)
        if (static_cast<unsigned char>(c) < ' ')
            c = ' ';
    std::cout << mark(priority) << safe << std::endl;
}

} // namespace

void info(const std::string& line)
{
    say(Priority::Info, line);
}

void warn(const std::string& line)
{
    say(Priority::Warning, line);
}

void error(const std::string& line)
{
    say(Priority::Error, line);
}

} // namespace agent::journal
