// A stage that means harm, in a sandbox: what it tries is refused. Each attempt is made by a stage without a sandbox
// too, where it must succeed, or it would say nothing here.
#include "tests/support/CanSandbox.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>
#include <sstream>

#include <linux/keyctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

using agent::test::attemptOf;
using agent::test::canSandbox;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

namespace fs = std::filesystem;
enum class Without
{
    Succeeds,  ///< the attempt, by a stage without a sandbox
    IsRefused, ///< by the agent or the kernel
    Depends    ///< on what this host has
};

struct Attempt
{
    const char* what;
    Without without;
    const char* command; ///< exits with 0 when it got what it wanted. %NAME% is replaced
};

// %STATE%, %SECRETS%, %SERVICES%: folders; %DAEMON%, %SHIM%, %VICTIM%: processes of another run; %ATTEMPT%: the folder
// of its attempt; %RUN%: it; %WAITING%: a run that waits for an approval; %URL%; %CANARY%, %HOME%: files in
// /tmp and the agent's HOME.
const Attempt attempts[] = {
    {"environment of another stage", Without::Succeeds, "grep -qa TOKEN= /proc/%VICTIM%/environ"},
    {"any environment with a secret", Without::Succeeds,
     "grep -qa 'hunter2[h]unter2' /proc/[0-9]*/environ"},
    {"memory of another stage", Without::Succeeds,
     "head -c0 /proc/%VICTIM%/mem && "
     "grep -q heap /proc/%VICTIM%/maps"},
    {"descriptors of another stage", Without::Succeeds, "ls -l /proc/%VICTIM%/fd | grep -q pipe"},
    {"working folder of another stage", Without::Succeeds, "ls /proc/%VICTIM%/cwd/"},
    {"signal to another stage", Without::Succeeds, "kill -0 %VICTIM%"},
    {"signal to another run's shim", Without::Succeeds, "kill -0 %SHIM%"},
    {"signal to the daemon", Without::Succeeds, "kill -0 %DAEMON%"},
    {"a secret's file", Without::Succeeds, "grep -q . %SECRETS%/TOKEN"},
    {"the record", Without::Succeeds, "head -c 6 %STATE%/record.db | grep -q SQLite"},
    {"the record, to write", Without::Succeeds, "test -w %STATE%/record.db"},
    {"the admin's token", Without::Succeeds, "grep -q . %STATE%/admin.token"},
    {"the services", Without::Succeeds, "ls %SERVICES% | grep -q yaml"},
    {"the agent's socket", Without::Depends, // which takes root, not the agent's user
     "curl -sf --unix-socket %STATE%/api.sock http://localhost/api/runs"},
    {"the API over loopback", Without::IsRefused, "curl -sf %URL%/api/runs"},
    {"an approval over loopback", Without::IsRefused,
     "curl -sf -X POST %URL%/api/runs/%WAITING%/approve-deployment"},
    {"an approval with the admin's token", Without::Succeeds,
     "curl -sf -H \"Authorization: Bearer $(cat %STATE%/admin.token)\" %URL%/api/runs/%WAITING%"},
    {"another run's log", Without::Succeeds, "test -w %ATTEMPT%/log"},
    {"another run's outcome", Without::Succeeds, "touch %ATTEMPT%/outcome.json.tmp"},
    {"another run's workspace", Without::Succeeds, "ls %STATE%/runs/*/%RUN%/workspace"},
    {"its own outcome", Without::Succeeds,
     "touch \"$(dirname \"$STAGE_OUTPUTS\")/outcome.json.tmp\""},
    {"its own log", Without::Succeeds, "test -e \"$(dirname \"$STAGE_OUTPUTS\")/log\""},
    {"its own order", Without::Succeeds, "test -e \"$(dirname \"$STAGE_OUTPUTS\")/order.json\""},
    {"the file for outputs as a FIFO", Without::Succeeds,
     "rm \"$STAGE_OUTPUTS\" 2>/dev/null; mkfifo \"$STAGE_OUTPUTS\" && rm \"$STAGE_OUTPUTS\""},
    {"mirrors", Without::Succeeds, "touch %STATE%/mirrors/planted"},
    {"the agent's HOME", Without::Succeeds, "test -e %HOME%"},
    {"the host's /tmp", Without::Succeeds, "test -e %CANARY%"},
    // Nothing that would last: without a sandbox it may succeed.
    {"cron", Without::Depends, "test -w /var/spool/cron/crontabs || test -w /etc/cron.d"},
    {"at", Without::Depends, "test -w /var/spool/cron/atjobs || atq"},
    {"systemd's jobs, as by systemd-run", Without::Depends, "systemctl --no-pager list-jobs"},
    {"D-Bus", Without::Depends, "test -S /run/dbus/system_bus_socket"},
    {"docker", Without::Depends, "test -S /run/docker.sock || test -S /var/run/docker.sock"},
    {"units of systemd", Without::Depends, "test -w /etc/systemd/system"},
    {"files of the host", Without::Depends, "test -w /etc || test -w /usr || test -w /etc/passwd"},
    {"an abstract socket of the host", Without::Succeeds,
     "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); "
     "exit !connect(S, pack(\"Sa*\", AF_UNIX, \"\\0%ABSTRACT%\"))'"},
    {"ptrace of the first process", Without::IsRefused,
     "head -c0 /proc/1/mem && grep -q . /proc/1/environ"},
    {"the first process's report", Without::IsRefused, "echo forged > /proc/1/fd/3"},
    {"the host's kernel parameters", Without::Depends, // pressure only tells, and is everybody's
     "find /proc /sys -maxdepth 4 -type f -writable -not -path '/proc/[0-9]*' -not -path "
     "'/proc/pressure/*' 2>/dev/null | grep -q ."},
    {"the host by a root of proc", Without::Depends, "ls /proc/1/root/%STATE%/record.db"},
    {"its cgroup", Without::Depends,
     "for f in $(find /sys/fs/cgroup -name cgroup.procs | head -50); do test -w $f && exit 0; "
     "done; "
     "false"},
    {"a key of the agent's session", Without::Succeeds,
     "perl -e 'my ($t, $d) = (qq(user\\0), qq(%KEY%\\0)); "
     "exit(syscall(%KEYCTL%, 10, -3, $t, $d, 0) < 0)'"},
    {"namespaces of its own, to see what is below a mount", Without::Depends,
     "unshare -Urm sh -c 'umount %STATE% || umount -l %STATE%; test -e %STATE%/record.db'"},
    {"a device", Without::Depends, "mknod disk b 254 0 && head -c1 disk"},
};

std::string replacedAll(std::string text, const std::map<std::string, std::string>& names)
{
    for (const auto& [name, value] : names)
        for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;
             at += value.size())
            text.replace(at, name.size(), value);
    return text;
}

} // namespace

class SandboxTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SandboxTest);
    CPPUNIT_TEST(testWhatAHostileStageTriesIsRefused);
    CPPUNIT_TEST(testWhatAnAttemptHadIsRecordedAndShown);
    CPPUNIT_TEST(testStagesOfARunShareWorkspaceHomeAndOutputs);
    CPPUNIT_TEST(testNoneIsOnlyForServicesThatAreNamed);
    CPPUNIT_TEST(testAnInlinePipelineAndAPullRequestHaveASandbox);
    CPPUNIT_TEST(testWhereTheHostCannotItSaysSoAndRefusesPullRequests);
    CPPUNIT_TEST(testAStoppedStageHasItsGrace);
    CPPUNIT_TEST(testExecUsesTheSameSandbox);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        // Not below /tmp, which no sandbox shows: what hides these folders must be what hides them.
        std::string name =
            fs::canonical(STAGE_AGENT_BIN_DIR "/..").string() + "/sandbox-test-XXXXXX";
        CPPUNIT_ASSERT(::mkdtemp(name.data()) != nullptr);
        _place = name;
        fs::create_directory(_place / "secrets");
        std::ofstream(_place / "secrets" / "TOKEN") << "hunter2hunter2\n";
        fs::permissions(_place / "secrets" / "TOKEN",
                        fs::perms::owner_read | fs::perms::owner_write);
        _daemon->set("state.dir", (_place / "state").string());
        _daemon->set("secrets.dir", (_place / "secrets").string());
        _daemon->set("isolation.default", "sandbox");
        _daemon->set("isolation.none_allowed", "*-none");
    }

    void tearDown() override
    {
        _daemon.reset();
        std::error_code ignored;
        fs::remove_all(_place, ignored);
        for (const auto& file : _canaries)
            fs::remove(file, ignored);
        _canaries.clear();
    }

    void testWhatAHostileStageTriesIsRefused()
    {
        if (!canSandbox())
            return;
        const int abstract = listenAbstract();
        const long key =
            ::syscall(SYS_add_key, "user", ownName().c_str(), "x", 1, KEY_SPEC_SESSION_KEYRING);
        const fs::path canary =
            fs::temp_directory_path() / ("canary-" + std::to_string(::getpid()));
        std::ofstream(canary) << "x";
        const fs::path ofHome = fs::path(std::getenv("HOME")) / canary.filename();
        std::ofstream(ofHome) << "x";
        _canaries = {canary, ofHome};
        _daemon->writeService("victim", service("victim", "", "sleep 600", "secrets: [TOKEN]\n"));
        _daemon->writeService("deploy", "name: deploy\nstages:\n  - { type: DEPLOY_PROD, plugin: "
                                        "shell, approval: required, with: { command: 'true' } }\n");
        _daemon->start();
        const auto victim = _daemon->submitService("victim");
        const auto waiting = _daemon->submitService("deploy");
        const auto stage = _daemon->stagesOf(victim).at(0);
        _daemon->waitForRun(waiting, "AWAITING_APPROVAL");
        waitFor("the victim's process", [&] { return processNamed("sleep", stage) != 0; });
        const std::map<std::string, std::string> names{
            {"%STATE%", (_place / "state").string()},
            {"%SECRETS%", (_place / "secrets").string()},
            {"%SERVICES%", (_daemon->folder() / "services.d").string()},
            {"%DAEMON%", std::to_string(_daemon->pid())},
            {"%SHIM%", std::to_string(agent::test::shimOf(attemptOf(*_daemon, victim)))},
            {"%VICTIM%", std::to_string(processNamed("sleep", stage))},
            {"%ATTEMPT%", attemptOf(*_daemon, victim).string()},
            {"%RUN%", victim},
            {"%WAITING%", waiting},
            {"%URL%", _daemon->url()},
            {"%CANARY%", canary.string()},
            {"%HOME%", ofHome.string()},
            {"%ABSTRACT%", ownName()},
            {"%KEYCTL%", std::to_string(SYS_keyctl)},
            {"%KEY%", ownName()}};
        std::string script = "set +e\n";
        int number = 0;
        for (const auto& attempt : attempts)
            script += "( " + replacedAll(attempt.command, names) +
                      " ) >/dev/null 2>&1 && echo reached " + std::to_string(number++) + "\n";
        script += "true\n";
        _daemon->writeService("hostile", service("hostile", "", script));
        _daemon->writeService("hostile-none", service("hostile-none", "isolation: none\n", script));
        _daemon->signal(SIGHUP);
        waitFor("the services",
                [&] { return _daemon->get("/api/services/hostile-none").status == 200; });

        const auto inside = reached("hostile");
        const auto outside = reached("hostile-none");
        ::close(abstract);
        ::syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_SESSION_KEYRING);
        std::string wrong;
        number = 0;
        for (const auto& attempt : attempts)
        {
            if (inside.contains(number) && !knownOpen(attempt.what))
                wrong += std::string("in a sandbox: ") + attempt.what + "\n";
            const bool succeeded = outside.contains(number);
            if (attempt.without == Without::Succeeds && !succeeded)
                wrong += std::string("not even without a sandbox: ") + attempt.what + "\n";
            if (attempt.without == Without::IsRefused && succeeded)
                wrong += std::string("without a sandbox: ") + attempt.what + "\n";
            ++number;
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), wrong);
    }

    void testWhatAnAttemptHadIsRecordedAndShown()
    {
        if (!canSandbox())
            return;
        _daemon->writeService("app", service("app", "network: none\n", "true"));
        _daemon->writeService("app-none", service("app-none", "isolation: none\n", "true"));
        _daemon->start();
        const auto boxed = stageOf("app");
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox"), _daemon->detail(boxed, "isolation"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), _daemon->detail(boxed, "network"));
        const auto plain = stageOf("app-none");
        CPPUNIT_ASSERT_EQUAL(std::string("none"), _daemon->detail(plain, "isolation"));
        CPPUNIT_ASSERT_EQUAL(std::string("host"), _daemon->detail(plain, "network"));
    }

    void testStagesOfARunShareWorkspaceHomeAndOutputs()
    {
        if (!canSandbox())
            return;
        _daemon->start();
        const auto run = _daemon->submit(agent::test::listOf(
            {shell("echo a > file; echo b > ~/file; echo c > /tmp/file; "
                   "echo '{\"word\": \"d\"}' > $STAGE_OUTPUTS"),
             shell("cat file ~/file; echo $OUTPUT_WORD; ! test -e /tmp/file")}));
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("a\nb\nd\n"), _daemon->log(_daemon->stagesOf(run).at(1)));
        const fs::path folder = _place / "state" / "runs" / run.substr(0, 2) / run;
        CPPUNIT_ASSERT_EQUAL(std::string("b\n"), contentOf(folder / "home" / "file"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + run).status);
        waitFor("the run's folder to go", [&] { return !fs::exists(folder); });
    }

    void testNoneIsOnlyForServicesThatAreNamed()
    {
        if (!canSandbox()) // else every service may have none
            return;
        _daemon->writeService("app", service("app", "isolation: none\n", "true"));
        _daemon->writeService("bind", service("bind", "binds:\n  - /etc\n", "true"));
        std::string said;
        CPPUNIT_ASSERT_EQUAL(78, _daemon->runToEnd({"--check"}, said));
        for (const char* problem :
             {"app.yaml:2: isolation: the agent's configuration does not name 'app' in "
              "isolation.none_allowed",
              "bind.yaml:3: binds[0]: '/etc' is not among isolation.binds of the agent's "
              "configuration"})
            CPPUNIT_ASSERT_MESSAGE(said, said.find(problem) != std::string::npos);
    }

    void testAnInlinePipelineAndAPullRequestHaveASandbox()
    {
        if (!canSandbox())
            return;
        _daemon->writeService("app-none", service("app-none", "isolation: none\n", "true"));
        _daemon->start();
        const auto refused =
            _daemon->post("/api/runs", R"({"pipeline":{"isolation":"none","stages":)" +
                                           agent::test::listOf({shell("true")}) + "}}");
        CPPUNIT_ASSERT_EQUAL(400, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("pipeline.isolation"),
                             std::string(refused.json()["error"]["field"].GetString()));
        const auto made =
            _daemon->post("/api/runs", R"({"service":"app-none","triggerType":"PR_OPEN"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string run = made.json()["id"].GetString();
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox"),
                             _daemon->detail(_daemon->stagesOf(run).at(0), "isolation"));
        // What came with a pull request stays one.
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon->patch("/api/runs/" + run, R"({"triggerType":"MANUAL"})").status);
        const auto again = _daemon->post("/api/runs/" + run + "/rerun").body;
        _daemon->waitForRun(again, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox"),
                             _daemon->detail(_daemon->stagesOf(again).at(0), "isolation"));
    }

    void testWhereTheHostCannotItSaysSoAndRefusesPullRequests()
    {
        // Programs beside a shim that finds no sandbox.
        const fs::path programs = _place / "bin";
        fs::create_directory(programs);
        for (const char* name : {"stage-agent", "stage-plugin-host", "plugins"})
            fs::create_symlink(fs::path(STAGE_AGENT_BIN_DIR) / name, programs / name);
        fs::remove(programs / "stage-agent");
        fs::copy_file(fs::path(STAGE_AGENT_BIN_DIR) / "stage-agent", programs / "stage-agent");
        std::ofstream(programs / "stage-shim")
            << "#!/bin/sh\nif [ \"$1\" = --probe-sandbox ]; then echo 'bwrap: No permissions' >&2; "
               "exit 1; fi\nexec " STAGE_AGENT_BIN_DIR "/stage-shim \"$@\"\n";
        fs::permissions(programs / "stage-shim", fs::perms::owner_all);
        Daemon daemon;
        daemon.set("isolation.default", "sandbox");
        daemon.setPrograms(programs);
        daemon.writeService("app", service("app", "isolation: none\n", "true"));
        daemon.start();
        // Where bubblewrap is missing the agent does not come to ask the shim.
        const char* const said = canSandbox() ? "No permissions" : "pull requests are refused";
        CPPUNIT_ASSERT_MESSAGE(daemon.output(), daemon.output().find(said) != std::string::npos);
        daemon.waitForRun(daemon.submitService("app"), "SUCCESS");
        const auto refused =
            daemon.post("/api/runs", R"({"service":"app","triggerType":"PR_SYNC"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 400, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("triggerType"),
                             std::string(refused.json()["error"]["field"].GetString()));
    }

    void testAStoppedStageHasItsGrace()
    {
        if (!canSandbox())
            return;
        _daemon->start();
        const auto run = _daemon->submit(agent::test::listOf({shell(
            "trap 'sleep 0.3; echo cleaned; exit 0' TERM; setsid sh -c 'trap \"echo child; exit\" "
            "TERM; echo up; while :; do sleep 0.1; done' & while :; do sleep 0.1; done")}));
        const auto stage = _daemon->stagesOf(run).at(0);
        waitFor("its output", [&] { return _daemon->log(stage).find("up") != std::string::npos; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon->detail(stage, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("stopped"), _daemon->detail(stage, "message"));
        const auto log = _daemon->log(stage);
        CPPUNIT_ASSERT_MESSAGE(log, log.find("cleaned") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(log, log.find("child") != std::string::npos);
    }

    void testExecUsesTheSameSandbox()
    {
        if (!canSandbox())
            return;
        const std::string look = "ls -A " + (_place / "secrets").string() +
                                 "; ls -A ..; echo x > ~/file; ls /proc | grep -c '^[0-9]'";
        _daemon->writeService("app", service("app", "", look));
        _daemon->writeService("app-none", service("app-none", "isolation: none\n", look));
        std::string boxed;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(boxed, 0,
                                     _daemon->runToEnd({"--exec", "--", "app", "BUILD"}, boxed));
        CPPUNIT_ASSERT_MESSAGE(boxed, boxed.find("TOKEN") == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(boxed, boxed.find("\nhome\nworkspace\n") != std::string::npos);
        std::string plain;
        _daemon->setEnvironment("HOME", _place.string());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(
            plain, 0, _daemon->runToEnd({"--exec", "--", "app-none", "BUILD"}, plain));
        CPPUNIT_ASSERT_MESSAGE(plain, plain.find("TOKEN") != std::string::npos);
    }

private:
    /// Linux before 6.12 can't keep a stage from the host's abstract sockets.
    static bool knownOpen(const std::string& what)
    {
        const std::uint64_t ruleset[] = {0, 0, 1};
        const long made = ::syscall(SYS_landlock_create_ruleset, ruleset, sizeof ruleset, 0);
        if (made >= 0)
            ::close(static_cast<int>(made));
        return made < 0 && what == "an abstract socket of the host";
    }

    static std::string service(const std::string& name, const std::string& keys,
                               const std::string& script, const std::string& more = "")
    {
        std::string yaml =
            "name: " + name + "\n" + keys + more +
            "stages:\n  - type: BUILD\n    plugin: shell\n    with:\n      command: |\n";
        std::istringstream lines(script);
        for (std::string line; std::getline(lines, line);)
            yaml += "        " + line + "\n";
        return yaml;
    }

    [[nodiscard]] std::string stageOf(const std::string& service) const
    {
        const auto run = _daemon->submitService(service);
        _daemon->waitForRun(run, "SUCCESS");
        return _daemon->stagesOf(run).at(0);
    }

    [[nodiscard]] std::set<int> reached(const std::string& service) const
    {
        const auto stage = _daemon->stagesOf(_daemon->submitService(service)).at(0);
        waitFor("its end", [&] { return _daemon->detail(stage, "endedAt") != "null"; });
        const std::string log = _daemon->log(stage);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon->detail(stage, "message") + "\n" + log,
                                     std::string("SUCCESS"), _daemon->detail(stage, "status"));
        std::istringstream words(log);
        std::set<int> numbers;
        for (std::string word; words >> word;)
            if (int number = 0; word == "reached" && words >> number)
                numbers.insert(number);
        return numbers;
    }

    /// A process of this name with the stage in its environment.
    static int processNamed(const std::string& name, const std::string& stageId)
    {
        for (const int pid : agent::test::processesOf(stageId))
            if (contentOf("/proc/" + std::to_string(pid) + "/comm") == name + "\n")
                return pid;
        return 0;
    }

    /// Of the abstract socket and of the key.
    static std::string ownName() { return "stage-agent-test-" + std::to_string(::getpid()); }

    static int listenAbstract()
    {
        const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        const std::string name = ownName();
        name.copy(address.sun_path + 1, name.size());
        CPPUNIT_ASSERT_EQUAL(0,
                             ::bind(listening, reinterpret_cast<sockaddr*>(&address),
                                    static_cast<socklen_t>(sizeof(sa_family_t) + 1 + name.size())));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(listening, 5));
        return listening;
    }

    fs::path _place;
    std::vector<fs::path> _canaries; ///< files outside of it
    std::unique_ptr<Daemon> _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SandboxTest);
