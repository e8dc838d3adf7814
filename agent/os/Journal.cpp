#include "agent/os/Journal.h"

#include <iostream>
#include <mutex>

namespace agent::journal
{

namespace
{

void say(int priority, const std::string& line)
{
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    std::string safe = line;
    for (char& c : safe)
        if (static_cast<unsigned char>(c) < ' ')
            c = ' ';
    std::cout << '<' << priority << '>' << safe << std::endl;
}

} // namespace

void info(const std::string& line)
{
    say(6, line);
}

void warn(const std::string& line)
{
    say(4, line);
}

void error(const std::string& line)
{
    say(3, line);
}

} // namespace agent::journal
