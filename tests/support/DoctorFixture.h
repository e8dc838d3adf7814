#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>
#include <iostream>

#include <sys/stat.h>
#include <unistd.h>

namespace agent::test
{

/// A line of `stagectl doctor`.
struct Seen
{
    std::string check;
    std::string status;
    std::string seen;
    std::string advice;
};

/// `stagectl doctor` on the configuration of a daemon, which a test starts, or not, or spoils.
class DoctorFixture: public CppUnit::TestFixture
{
public:
    void setUp() override
    {
        configure({});
        ::chmod(_daemon.folder().c_str(), 0755);
        ::chmod((_daemon.folder() / "secrets").c_str(), 0700);
    }

protected:
    static std::string program() { return STAGE_AGENT_BIN_DIR "/stagectl"; }

    static bool asRoot()
    {
        if (::geteuid() != 0)
            std::cout << " (skipped: only root is several users) " << std::flush;
        return ::geteuid() == 0;
    }

    static bool holds(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    /// The configuration that the doctor gets: the daemon's, and these.
    void configure(const std::map<std::string, std::string>& more)
    {
        std::map<std::string, std::string> all{{"http.port", "0"}, {"disk.min_free", "1M"}};
        all["state.dir"] = _daemon.state().string();
        for (const char* name : {"services.d", "secrets", "plugins"})
            all[std::string(name).substr(0, std::string(name).find('.')) + ".dir"] =
                (_daemon.folder() / name).string();
        for (const auto& [key, value] : more)
            all[key] = value;
        std::ofstream file(_config, std::ios::trunc);
        for (const auto& [key, value] : all)
            file << key << " = " << value << "\n";
        file.close();
        ::chmod(_config.c_str(), 0644);
    }

    Ended run(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> line{program()};
        line.insert(line.end(), arguments.begin(), arguments.end());
        return runProgram(line, _daemon.folder(), {{"STAGE_AGENT_URL", _daemon.url()}});
    }

    std::vector<Seen> examined(int exitCode, const std::vector<std::string>& more = {}) const
    {
        std::vector<std::string> line{program(), "--json", "doctor", "--config", _config.string()};
        line.insert(line.end(), more.begin(), more.end());
        if (std::find(more.begin(), more.end(), "--agent") == more.end())
        {
            // Never an agent that happens to run on this host.
            const std::string url = _daemon.url().empty() ? "http://127.0.0.1:1" : _daemon.url();
            line.insert(line.end(), {"--agent", url});
        }
        const Ended ended = runProgram(line, _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, exitCode, ended.exitCode);
        return parsed(ended);
    }

    static std::vector<Seen> parsed(const Ended& ended)
    {
        rapidjson::Document document;
        document.Parse(ended.out);
        CPPUNIT_ASSERT_MESSAGE(ended.out + ended.err,
                               !document.HasParseError() && document.IsArray());
        std::vector<Seen> all;
        for (const auto& each : document.GetArray())
        {
            CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(4), each.MemberCount());
            all.push_back({each["check"].GetString(), each["status"].GetString(),
                           each["seen"].GetString(), each["advice"].GetString()});
        }
        return all;
    }

    /// The first finding of a check; empty when there is none.
    static Seen oneOf(const std::vector<Seen>& all, const std::string& check)
    {
        for (const Seen& each : all)
            if (each.check == check)
                return each;
        return {};
    }

    /// That a finding is there. An empty status: any.
    static void assertSeen(const std::vector<Seen>& all, const std::string& check,
                           const std::string& status, const std::string& part)
    {
        std::string of;
        for (const Seen& each : all)
        {
            if (each.check != check)
                continue;
            if ((status.empty() || each.status == status) && holds(each.seen, part))
                return;
            of += "\n" + each.status + " " + each.seen;
        }
        CPPUNIT_FAIL(check + " is not " + status + " '" + part + "', but:" + of);
    }

    Daemon _daemon;
    std::filesystem::path _config = _daemon.folder() / "agent.properties";
};

} // namespace agent::test
