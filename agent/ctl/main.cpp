#include "agent/ctl/CommandLine.h"
#include "agent/ctl/Terminal.h"

#include <Poco/Exception.h>

#include <clocale>
#include <csignal>
#include <exception>
#include <sstream>
#include <string>

namespace
{

/// The message's first line, then the others below it, indented.
void tell(const std::string& message)
{
    std::istringstream lines(message);
    std::string line;
    for (bool first = true; std::getline(lines, line); first = false)
        agent::ctl::note(first ? line : "  " + line);
}

} // namespace

int main(int argc, char** argv)
{
    using agent::ctl::Exit;
    std::signal(SIGPIPE, SIG_IGN); // an agent that closes the connection must not end us
    std::setlocale(LC_TIME, "");   // the months in tables
    try
    {
        return static_cast<int>(agent::ctl::runCommandLine(argc, argv));
    }
    catch (const agent::ctl::Failure& failure)
    {
        tell(failure.what());
        return static_cast<int>(failure.exit());
    }
    catch (const Poco::Exception& error)
    {
        tell(error.displayText());
    }
    catch (const std::exception& error)
    {
        tell(error.what());
    }
    return static_cast<int>(Exit::AgentFailed);
}
