#include "agent/ctl/CommandLine.h"
#include "agent/ctl/Terminal.h"

#include <Poco/Exception.h>

#include <clocale>
#include <csignal>
#include <exception>

int main(int argc, char** argv)
{
    using agent::ctl::Exit;
    using agent::ctl::printError;
    std::signal(SIGPIPE, SIG_IGN); // a closed connection is an error of write, not fatal
    std::setlocale(LC_TIME, "");   // names of months in tables
    try
    {
        return static_cast<int>(agent::ctl::runCommandLine(argc, argv));
    }
    catch (const agent::ctl::Failure& failure)
    {
        printError(failure.what());
        return static_cast<int>(failure.exit());
    }
    catch (const Poco::Exception& error)
    {
        printError(error.displayText());
    }
    catch (const std::exception& error)
    {
        printError(error.what());
    }
    return static_cast<int>(Exit::AgentFailed);
}
