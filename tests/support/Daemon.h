#pragma once

#include "tests/support/FilesFolder.h"

#include <rapidjson/document.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace agent::test
{

struct Answer
{
    int status = 0;
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;

    /// The body as JSON. Errors: fails the test when it is none.
    [[nodiscard]] rapidjson::Document json() const;
};

/// The real daemon on a state folder and a port of its own. Ends with the object, and with it every
/// shim, process and cgroup of its stages, also when a test fails.
class Daemon
{
public:
    /// Does not start it yet: services can be written first.
    Daemon();
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Has the stages of submit() and writeService() in sandboxes, from the next start on, which may write to folder():
    /// there tests look for what a stage did. With STAGE_AGENT_TEST_ISOLATION=sandbox each daemon begins so.
    /// Without a sandbox where this host can't make one; says so.
    void sandbox();
    [[nodiscard]] bool sandboxed() const { return _sandbox; }

    /// `-D key=value` for the next start.
    void set(const std::string& key, const std::string& value) { _settings[key] = value; }
    void writeService(const std::string& name, const std::string& yaml);
    void writeSecret(const std::string& name, const std::string& value);

    /// A variable of its environment, from the next start on; empty: none.
    void setEnvironment(const std::string& name, const std::string& value);

    /// The folder of its programs, from the next start on; the build's own until then.
    void setPrograms(const std::filesystem::path& folder) { _programs = folder; }

    /// Waits for its address. Errors: fails the test when none comes within 20 s.
    void start();

    /// The same, but returns false if it ended before it was ready.
    bool tryStart();

    /// Whether it runs; reaps it when it has ended.
    bool alive();

    /// SIGKILL, as a crash would; shims go on.
    void kill();

    /// SIGTERM. Returns its exit code.
    int stop();

    /// Runs it in the foreground with these arguments more. Returns exit code; what it printed in `output`.
    int runToEnd(const std::vector<std::string>& arguments, std::string& output) const;

    void signal(int signal) const;

    /// Sends the admin's token, unless `headers` have another Authorization; an empty one: none at all.
    Answer request(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::map<std::string, std::string>& headers = {}) const;
    Answer get(const std::string& path) const { return request("GET", path); }
    Answer post(const std::string& path, const std::string& body = "") const
    {
        return request("POST", path, body);
    }
    Answer patch(const std::string& path, const std::string& body) const
    {
        return request("PATCH", path, body);
    }

    /// Returns an inline pipeline of these stages, both as JSON.
    [[nodiscard]] std::string pipeline(const std::string& stages) const;

    /// Submits a pipeline given as the JSON of its stages. Returns the run's id.
    std::string submit(const std::string& stages) const;
    std::string submitService(const std::string& name) const;

    /// The run's status; `SUCCESS` and so on.
    std::string statusOf(const std::string& runId) const;

    /// The ids of a run's stages, in order.
    std::vector<std::string> stagesOf(const std::string& runId) const;

    /// A field of a stage's detail view, numbers and null as text.
    std::string detail(const std::string& stageId, const std::string& field) const;
    std::string log(const std::string& stageId) const;

    /// Polls until `statusOf` is `wanted`, 30 s at most. Errors: fails the test then.
    void waitForRun(const std::string& runId, const std::string& wanted) const;
    void waitForStage(const std::string& stageId, const std::string& wanted) const;

    [[nodiscard]] int pid() const { return _pid; }
    [[nodiscard]] const std::string& url() const { return _url; }

    /// What the first start wrote to admin.token.
    [[nodiscard]] const std::string& token() const { return _token; }
    [[nodiscard]] std::filesystem::path folder() const { return _folder.path(); }
    [[nodiscard]] std::filesystem::path state() const { return _settings.at("state.dir"); }
    [[nodiscard]] std::string output() const;

private:
    [[nodiscard]] std::vector<std::string> arguments() const;
    void sweep() const;

    FilesFolder _folder;
    std::filesystem::path _programs = STAGE_AGENT_BIN_DIR;
    std::map<std::string, std::string> _settings;
    std::map<std::string, std::string> _environment;
    bool _sandbox = false;
    std::filesystem::path _cgroup; ///< of the daemon and its stages
    int _pid = 0;
    int _waitStatus = 0; ///< of the one that ended last
    std::string _url;
    std::string _token;
};

/// Polls `condition` until it holds. Errors: fails the test with `what` after `seconds`.
void waitFor(const std::string& what, const std::function<bool()>& condition, int seconds = 30);

/// A file's content; empty when it is not there.
std::string contentOf(const std::filesystem::path& file);

} // namespace agent::test
