#include "tests/support/Daemon.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/Environment.h"
#include "tests/support/Tokens.h"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/StreamCopier.h>
#include <Poco/String.h>
#include <Poco/URI.h>

#include <cppunit/TestAssert.h>

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ; // NOLINT: of unistd.h

namespace agent::test
{

namespace fs = std::filesystem;

namespace
{

int spawn(const std::vector<std::string>& arguments,
          const std::map<std::string, std::string>& environment, const fs::path& output)
{
    std::vector<std::string> more;
    for (const auto& [name, value] : environment)
        more.push_back(std::string(name).append("=").append(value));
    std::vector<char*> variables;
    for (char** variable = environ; *variable; ++variable)
    {
        // Of two values of one name, getenv returns the first.
        const std::string_view text = *variable;
        if (!environment.contains(std::string(text.substr(0, text.find('=')))))
            variables.push_back(*variable);
    }
    for (auto& variable : more)
        variables.push_back(variable.data());
    variables.push_back(nullptr);
    std::vector<char*> argv;
    for (const auto& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), variables.data());
    posix_spawn_file_actions_destroy(&files);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(arguments[0], 0, error);
    return pid;
}

int exitCodeOf(int pid)
{
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR)
    {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Where the process has its group; empty without cgroup version 2.
fs::path groupOf(int pid)
{
    std::ifstream mounts("/proc/self/mounts");
    std::string device;
    std::string mount;
    std::string type;
    for (std::string rest; mounts >> device >> mount >> type && std::getline(mounts, rest);)
    {
        const std::string groups = contentOf("/proc/" + std::to_string(pid) + "/cgroup");
        const auto at = groups.find("0::/");
        if (type == "cgroup2" && at != std::string::npos)
            return fs::path(mount) / groups.substr(at + 4, groups.find('\n', at) - at - 4);
    }
    return {};
}

void removeGroups(const fs::path& group)
{
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(group, ignored))
        if (entry.is_directory(ignored))
            removeGroups(entry.path());
    ::rmdir(group.c_str());
}

} // namespace

rapidjson::Document Answer::json() const
{
    rapidjson::Document document;
    document.Parse(body);
    CPPUNIT_ASSERT_MESSAGE("no JSON: " + body, !document.HasParseError());
    return document;
}

Daemon::Daemon()
{
    fs::create_directories(_folder.path() / "services.d");
    fs::create_directories(_folder.path() / "secrets");
    set("http.port", "0");
    set("state.dir", (_folder.path() / "state").string());
    set("services.dir", (_folder.path() / "services.d").string());
    set("secrets.dir", (_folder.path() / "secrets").string());
    set("plugins.dir", (_folder.path() / "plugins").string());
    set("stage.grace", "2s");
    set("isolation.default", "none");
    set("disk.min_free", "1M");
    const char* isolation = std::getenv("STAGE_AGENT_TEST_ISOLATION");
    if (isolation && std::string_view(isolation) == "sandbox")
        sandbox();
}

void Daemon::sandbox()
{
    if (!canSandbox())
        return;
    _sandbox = true;
    set("isolation.default", "sandbox");
    set("isolation.binds", _folder.path().string() + ":rw");
}

Daemon::~Daemon()
{
    if (_pid > 0)
    {
        ::kill(_pid, SIGKILL);
        exitCodeOf(_pid);
    }
    sweep();
    // The kernel lets a group go only a moment after its last process.
    for (int round = 0; round < 100 && !_cgroup.empty() && fs::exists(_cgroup); ++round)
    {
        removeGroups(_cgroup);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

/// Ends what a test left running: every process whose environment or arguments name our folder.
void Daemon::sweep() const
{
    const auto ours = [this](const std::string& text)
    {
        return text.find(_folder.path().string()) != std::string::npos ||
               text.find(state().string()) != std::string::npos;
    };
    for (int round = 0; round < 100; ++round)
    {
        bool found = false;
        for (const auto& entry : fs::directory_iterator("/proc"))
        {
            const int pid = std::atoi(entry.path().filename().c_str());
            if (pid <= 1 || pid == ::getpid())
                continue;
            if (ours(contentOf(entry.path() / "cmdline")) || ours(environmentOf(entry.path())))
            {
                found = true;
                ::kill(pid, SIGKILL);
            }
        }
        if (!found)
            return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void Daemon::writeService(const std::string& name, const std::string& yaml)
{
    (void)_folder.write("services.d/" + name + ".yaml",
                        yaml + (_sandbox ? "binds: [" + _folder.path().string() + ":rw]\n" : ""));
}

void Daemon::writeSecret(const std::string& name, const std::string& value)
{
    ::chmod(_folder.write("secrets/" + name, value).c_str(), 0600);
}

std::vector<std::string> Daemon::arguments() const
{
    std::vector<std::string> all{(_programs / "stage-agent").string()};
    for (const auto& [key, value] : _settings)
    {
        all.emplace_back("-D");
        all.push_back(key + "=" + value);
    }
    return all;
}

void Daemon::setEnvironment(const std::string& name, const std::string& value)
{
    _environment.erase(name);
    if (!value.empty())
        _environment[name] = value;
}

void Daemon::start()
{
    const bool started = tryStart();
    CPPUNIT_ASSERT_MESSAGE(
        "the daemon ended, wait status " + std::to_string(_waitStatus) + ": " + output(), started);
}

bool Daemon::tryStart()
{
    std::error_code ignored;
    fs::remove(state() / "address", ignored);
    _pid = spawn(arguments(), _environment, _folder.path() / "output");
    bool ended = false;
    waitFor(
        "the daemon's address",
        [&]
        {
            ended = !alive();
            _url = contentOf(state() / "address");
            return ended || !_url.empty();
        },
        20);
    if (ended)
        return false;
    _url.pop_back();
    _token = contentOf(state() / "admin.token");
    if (!_token.empty())
        _token.pop_back();
    adminTokens()[_url] = newestToken() = _token;
    if (const fs::path leaf = groupOf(_pid); leaf.filename() == "agent")
        _cgroup = leaf.parent_path();
    return true;
}

bool Daemon::alive()
{
    if (_pid > 0 && ::waitpid(_pid, &_waitStatus, WNOHANG) != 0)
        _pid = 0;
    return _pid > 0;
}

void Daemon::kill()
{
    CPPUNIT_ASSERT_MESSAGE("the daemon has ended: " + output(), _pid > 0); // 0 would be ourselves
    ::kill(_pid, SIGKILL);
    exitCodeOf(std::exchange(_pid, 0));
}

int Daemon::stop()
{
    CPPUNIT_ASSERT_MESSAGE("the daemon has ended: " + output(), _pid > 0);
    ::kill(_pid, SIGTERM);
    return exitCodeOf(std::exchange(_pid, 0));
}

int Daemon::runToEnd(const std::vector<std::string>& more, std::string& output) const
{
    auto all = arguments();
    all.insert(all.end(), more.begin(), more.end());
    const fs::path file = _folder.path() / "run-output";
    fs::remove(file);
    const int code = exitCodeOf(spawn(all, _environment, file));
    output = contentOf(file);
    return code;
}

void Daemon::signal(int signal) const
{
    ::kill(_pid, signal);
}

Answer Daemon::request(const std::string& method, const std::string& path, const std::string& body,
                       const std::map<std::string, std::string>& headers) const
{
    const Poco::URI uri(_url);
    Poco::Net::HTTPClientSession session(uri.getHost(), uri.getPort());
    session.setTimeout(Poco::Timespan(60, 0));
    Poco::Net::HTTPRequest request(method, path, "HTTP/1.1");
    if (!body.empty())
        request.setContentType("application/json");
    request.setContentLength64(static_cast<Poco::Int64>(body.size()));
    if (!headers.contains("Authorization"))
        request.set("Authorization", "Bearer " + _token);
    for (const auto& [name, value] : headers)
        if (name != "Authorization" || !value.empty())
            request.set(name, value);
    session.sendRequest(request) << body;
    Poco::Net::HTTPResponse response;
    std::ostringstream text;
    Poco::StreamCopier::copyStream(session.receiveResponse(response), text);
    Answer answer{response.getStatus(), {}, text.str()};
    for (const auto& [name, value] : response)
        answer.headers[Poco::toLower(name)] = value;
    return answer;
}

std::string Daemon::pipeline(const std::string& stages) const
{
    return R"({"stages":)" + stages +
           (_sandbox ? R"(,"binds":[")" + _folder.path().string() + ":rw\"]}" : "}");
}

std::string Daemon::submit(const std::string& stages) const
{
    const Answer answer = post("/api/runs", R"({"pipeline":)" + pipeline(stages) + "}");
    CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
    return answer.json()["id"].GetString();
}

std::string Daemon::submitService(const std::string& name) const
{
    const Answer answer = post("/api/runs", R"({"service":")" + name + "\"}");
    CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
    return answer.json()["id"].GetString();
}

std::string Daemon::statusOf(const std::string& runId) const
{
    return get("/api/runs/" + runId).json()["status"].GetString();
}

std::vector<std::string> Daemon::stagesOf(const std::string& runId) const
{
    const auto stages = get("/api/stages?runId=" + runId).json();
    std::vector<std::string> ids;
    for (const auto& stage : stages.GetArray())
        ids.emplace_back(stage["id"].GetString());
    return ids;
}

std::string Daemon::detail(const std::string& stageId, const std::string& field) const
{
    const auto stage = get("/api/stages/" + stageId).json();
    const auto& value = stage[field.c_str()];
    if (value.IsNull())
        return "null";
    return value.IsString() ? std::string(value.GetString()) : std::to_string(value.GetInt64());
}

std::string Daemon::log(const std::string& stageId) const
{
    return get("/api/stages/" + stageId + "/log").body;
}

void Daemon::waitForRun(const std::string& runId, const std::string& wanted) const
{
    std::string found;
    waitFor("run to be " + wanted,
            [&]
            {
                found = statusOf(runId);
                const bool over = found == "SUCCESS" || found == "FAILURE";
                if (over && found != wanted)
                    CPPUNIT_FAIL("the run is " + found + ", not " + wanted + ": " +
                                 get("/api/stages?runId=" + runId).body);
                return found == wanted;
            });
}

void Daemon::waitForStage(const std::string& stageId, const std::string& wanted) const
{
    waitFor("stage to be " + wanted, [&] { return detail(stageId, "status") == wanted; });
}

std::string Daemon::output() const
{
    return contentOf(_folder.path() / "output");
}

void waitFor(const std::string& what, const std::function<bool()>& condition, int seconds)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition())
    {
        if (std::chrono::steady_clock::now() > end)
            CPPUNIT_FAIL("waited " + std::to_string(seconds) + " s for " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

std::string contentOf(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

} // namespace agent::test
