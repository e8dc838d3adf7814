#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/TestAssert.h>

#include <string>
#include <vector>

namespace agent::test
{

/// The command line of stagectl with these arguments.
inline std::vector<std::string> stagectl(const std::vector<std::string>& arguments)
{
    std::vector<std::string> all{STAGE_AGENT_BIN_DIR "/stagectl"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
}

/// The environment of a stagectl on a terminal that asks this daemon, and has no file of its user's.
inline std::vector<std::string> terminalOf(const Daemon& daemon)
{
    return {"STAGE_AGENT_URL=" + daemon.url(), "HOME=" + daemon.folder().string(),
            "TERM=xterm-256color"};
}

/// Runs it in a pipe, where it must end with `exitCode`.
inline Ended stagectlEnded(const Daemon& daemon, int exitCode,
                           const std::vector<std::string>& arguments)
{
    Ended ended =
        runProgram(stagectl(arguments), daemon.folder(),
                   {{"HOME", daemon.folder().string()}, {"STAGE_AGENT_URL", daemon.url()}});
    CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, exitCode, ended.exitCode);
    return ended;
}

} // namespace agent::test
