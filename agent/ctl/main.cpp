#include "agent/ctl/CommandLine.h"
#include "agent/ctl/Terminal.h"

#include <Poco/Exception.h>

#include <clocale>
#include <csignal>
#include <exception>

int main(int argc, char** argv)
{
    using agent::ctl::Exit;
    using agent::ctl::tell;
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
