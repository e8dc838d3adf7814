#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Environment.h"

#include <cppunit/TestAssert.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

// What tests that look under a running stage need: its folder, its shim, its processes.
namespace agent::test
{

/// A stage of type BUILD for the shell; `more` is JSON members such as `"timeout":"1s"`.
inline std::string shell(const std::string& command, const std::string& more = "")
{
    rapidjson::StringBuffer quoted;
    rapidjson::Writer<rapidjson::StringBuffer>(quoted).String(command);
    return R"({"type":"BUILD","plugin":"shell","with":{"command":)" +
           std::string(quoted.GetString()) + "}" + (more.empty() ? "" : ",") + more + "}";
}

inline std::string listOf(std::initializer_list<std::string> stages)
{
    std::string list;
    for (const auto& stage : stages)
        list += (list.empty() ? "[" : ",") + stage;
    return list + "]";
}

/// Where the run's first stage, a BUILD, has the files of an attempt.
inline std::filesystem::path attemptOf(const Daemon& daemon, const std::string& run,
                                       int attempt = 1)
{
    return daemon.state() / "runs" / run.substr(0, 2) / run / "0-BUILD" / std::to_string(attempt);
}

inline int shimOf(const std::filesystem::path& attempt)
{
    rapidjson::Document claim;
    claim.Parse(contentOf(attempt / "shim.lock"));
    CPPUNIT_ASSERT(claim.IsObject());
    return claim["pid"].GetInt();
}

/// The processes that have the stage in their environment.
inline std::vector<int> processesOf(const std::string& stageId)
{
    std::vector<int> pids;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
        if (const int pid = std::atoi(entry.path().filename().c_str());
            pid > 0 && environmentOf(entry.path()).find("STAGE_ID=" + stageId) != std::string::npos)
            pids.push_back(pid);
    return pids;
}

/// As a power cut: the shim and all of its stage are gone at once, and nothing was written.
inline void cutPower(const std::filesystem::path& attempt, const std::string& stageId)
{
    ::kill(shimOf(attempt), SIGKILL);
    waitFor("the stage's processes to be gone",
            [&]
            {
                const auto left = processesOf(stageId);
                for (const int pid : left)
                    ::kill(pid, SIGKILL);
                return left.empty();
            });
}

/// Puts `to` where `from` first stands in a file, as another version of the program might have written it.
inline void rewrite(const std::filesystem::path& file, const std::string& from,
                    const std::string& to)
{
    std::string text = contentOf(file);
    const auto at = text.find(from);
    CPPUNIT_ASSERT_MESSAGE(from + " in " + text, at != std::string::npos);
    std::ofstream(file, std::ios::binary) << text.replace(at, from.size(), to);
}

} // namespace agent::test
