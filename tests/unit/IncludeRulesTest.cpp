#include "tests/support/ClassSizes.h"
#include "tests/support/SourceRules.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <set>

namespace agent
{

namespace
{

using Rule = rules::Problems (*)(const Source&);

/// Every file of C++ below agent/ and plugins/.
const std::vector<Source>& sources()
{
    static const std::vector<Source> all = []
    {
        const std::filesystem::path root = STAGE_AGENT_SOURCE_DIR;
        std::vector<Source> found;
        for (const char* top : {"agent", "plugins"})
            for (const auto& entry : std::filesystem::recursive_directory_iterator(root / top))
                if (const auto& file = entry.path();
                    file.extension() == ".h" || file.extension() == ".cpp")
                {
                    std::ifstream in(file, std::ios::binary);
                    found.push_back({.path = file.lexically_relative(root).string(),
                                     .text = {std::istreambuf_iterator<char>(in), {}}});
                }
        return found;
    }();
    return all;
}

std::string breaches(Rule rule)
{
    std::string all;
    for (const auto& source : sources())
        for (const auto& problem : rule(source))
            all += "\n" + problem;
    return all;
}

/// How many problems `rule` finds in `text`, were it the file at `path`.
std::size_t found(Rule rule, const std::string& path, const std::string& text)
{
    return rule({.path = path, .text = text}).size();
}

void assertBreaks(Rule rule, const std::string& path, const std::string& text)
{
    CPPUNIT_ASSERT_EQUAL_MESSAGE(path + ": " + text, std::size_t(1), found(rule, path, text));
}

void assertKeeps(Rule rule, const std::string& path, const std::string& text)
{
    CPPUNIT_ASSERT_EQUAL_MESSAGE(path + ": " + text, std::size_t(0), found(rule, path, text));
}

std::string include(const std::string& file)
{
    return "#include \"" + file + "\"\n";
}

} // namespace

/// Rules of the sources that no compiler holds. Each is first shown on the sources, then that it bites.
class IncludeRulesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(IncludeRulesTest);
    CPPUNIT_TEST(testTheSourcesAreThere);
    CPPUNIT_TEST(testFoldersIncludeWhatTheyMay);
    CPPUNIT_TEST(testSeesAWrongInclude);
    CPPUNIT_TEST(testSeesAPluginThatKnowsTooMuch);
    CPPUNIT_TEST(testOnlyProcessAndShimHandleProcesses);
    CPPUNIT_TEST(testSeesAProcessHandledElsewhere);
    CPPUNIT_TEST(testOnlyTheStoreSpeaksSql);
    CPPUNIT_TEST(testSeesSqlElsewhere);
    CPPUNIT_TEST(testOnlyConfigReadsTheConfiguration);
    CPPUNIT_TEST(testSeesTheConfigurationReadElsewhere);
    CPPUNIT_TEST(testTheLayoutTableSaysTheSame);
    CPPUNIT_TEST(testNoFileIsTooLong);
    CPPUNIT_TEST(testSeesAFileThatIsTooLong);
    CPPUNIT_TEST(testNoClassIsTooLarge);
    CPPUNIT_TEST(testCountsTheFunctionsOfAClass);
    CPPUNIT_TEST(testNothingIsLeftForLater);
    CPPUNIT_TEST(testSeesWhatIsLeftForLater);
    CPPUNIT_TEST(testTellsCodeFromCommentsAndLiterals);
    CPPUNIT_TEST(testNamesTheLine);
    CPPUNIT_TEST_SUITE_END();

public:
    /// A rule over no file holds always.
    void testTheSourcesAreThere()
    {
        std::set<std::string> folders;
        for (const auto& source : sources())
            folders.insert(source.path.substr(0, source.path.rfind('/')));
        for (const char* folder :
             {"agent", "agent/model", "agent/os", "agent/program", "agent/wire", "agent/process",
              "agent/store", "agent/document", "agent/plugin", "agent/run", "agent/api",
              "agent/shim", "agent/exec", "agent/doctor", "agent/ctl", "plugins/git"})
            CPPUNIT_ASSERT_MESSAGE(folder, folders.count(folder) == 1);
        CPPUNIT_ASSERT(sources().size() > 100);
    }

    void testFoldersIncludeWhatTheyMay()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::includes));
    }

    void testSeesAWrongInclude()
    {
        const auto wrong = [](const char* path, const char* file)
        { assertBreaks(rules::includes, path, include(file)); };
        const auto right = [](const char* path, const char* file)
        { assertKeeps(rules::includes, path, include(file)); };
        wrong("agent/model/Run.h", "agent/wire/Order.h");
        wrong("agent/os/Files.cpp", "agent/model/Run.h");
        wrong("agent/wire/Order.h", "agent/process/Launcher.h");
        wrong("agent/process/Spawn.cpp", "agent/store/Database.h");
        wrong("agent/store/Database.cpp", "agent/run/Queue.h");
        wrong("agent/plugin/Manifest.cpp", "agent/wire/Order.h");
        wrong("agent/document/Document.cpp", "agent/plugin/Manifest.h");
        wrong("agent/exec/ExecPlan.cpp", "agent/api/Http.h");
        wrong("agent/run/Engine.cpp", "agent/exec/ExecPlan.h");
        wrong("agent/run/Engine.cpp", "agent/api/Http.h");
        wrong("agent/run/Engine.cpp", "agent/shim/LogFile.h");
        wrong("agent/run/Engine.cpp", "agent/Config.h");
        wrong("agent/api/Routes.cpp", "agent/process/Launcher.h");
        wrong("agent/shim/main.cpp", "agent/process/Cgroup.h");
        wrong("agent/ctl/Client.cpp", "agent/wire/Order.h");
        wrong("agent/ctl/Client.cpp", "agent/api/Http.h");
        wrong("agent/ctl/Doctor.cpp", "agent/process/Launcher.h");
        wrong("agent/doctor/Doctor.cpp", "agent/api/Routes.h");
        wrong("agent/run/Engine.cpp", "agent/doctor/Doctor.h");
        wrong("agent/misc/Things.cpp", "agent/model/Run.h");
        wrong("agent/run/Engine.cpp", "Queue.h");
        wrong("agent/run/Engine.cpp", "../api/Http.h");
        assertBreaks(rules::includes, "agent/ctl/Client.cpp", "  # include <agent/api/Http.h>\n");
        right("agent/model/Run.h", "agent/model/Stage.h");
        right("agent/run/Engine.cpp", "agent/store/RunStore.h");
        right("agent/api/Routes.cpp", "agent/plugin/PluginRegistry.h");
        right("agent/shim/main.cpp", "agent/wire/Order.h");
        right("agent/shim/main.cpp", "agent/os/Files.h");
        wrong("agent/ctl/Doctor.cpp", "agent/process/Spawn.h");
        wrong("agent/doctor/Doctor.cpp", "agent/AgentApplication.h");
        right("agent/ctl/Doctor.cpp", "agent/program/Program.h");
        right("agent/doctor/Doctor.h", "agent/Config.h");
        right("agent/AgentApplication.cpp", "agent/api/HttpServer.h");
        assertKeeps(rules::includes, "agent/model/Run.h", "#include <string>\n");
    }

    void testSeesAPluginThatKnowsTooMuch()
    {
        const char* path = "plugins/git/GitPlugin.cpp";
        assertBreaks(rules::includes, path, include("agent/model/Stage.h"));
        assertBreaks(rules::includes, path, include("agent/plugin/Manifest.h"));
        assertBreaks(rules::includes, path, include("plugins/other/Other.h"));
        assertBreaks(rules::includes, path, "#include <agent/run/Engine.h>\n");
        assertKeeps(rules::includes, path, include("agent/plugin/StagePlugin.h"));
        assertKeeps(rules::includes, path, include("plugins/git/Git.h"));
        assertKeeps(rules::includes, path, "#include <string>\n");
    }

    void testOnlyProcessAndShimHandleProcesses()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::processes));
    }

    void testSeesAProcessHandledElsewhere()
    {
        for (const char* code :
             {"::fork();", "const pid_t p = fork();", "vfork();", "clone(f, s, 0, a);",
              "if (::kill(pid, 9) != 0)", "kill (pid, 9);", "waitpid(-1, &s, 0);",
              "::waitid(P_ALL, 0, &i, 0);", "posix_spawn(&p, f, 0, 0, a, e);",
              "posix_spawnp(&p, f, 0, 0, a, e);", "::execve(p, a, e);", "execlp(p, a, 0);",
              "::syscall(SYS_clone3, &a);", "::syscall(SYS_pidfd_send_signal, f, 9);",
              "Poco::Process::launch(a, b);", "!kill(0, 0);"})
        {
            assertBreaks(rules::processes, "agent/run/Engine.cpp", code);
            assertKeeps(rules::processes, "agent/process/Spawn.cpp", code);
            assertKeeps(rules::processes, "agent/shim/Command.cpp", code);
        }
        for (const char* code : {"system(\"ls\");", "std::system(x);", "::popen(x, \"r\");"})
            for (const char* path :
                 {"agent/run/Engine.cpp", "agent/shim/Command.cpp", "plugins/git/Git.cpp"})
                assertBreaks(rules::processes, path, code);
        for (const char* code : {"Launcher::kill(shim);", "_processes->kill();", "tree.kill();",
                                 "overkill(1);", "// fork() is for process/", "say(\"kill(1)\");",
                                 "_condition.wait(lock);", "query.execute(x);", "filesystem(x);"})
            assertKeeps(rules::processes, "agent/run/Engine.cpp", code);
    }

    void testOnlyTheStoreSpeaksSql() { CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::sql)); }

    void testSeesSqlElsewhere()
    {
        for (const char* code :
             {"x(\"SELECT 1\");", "x(\"INSERT INTO runs\");", "x(\"INSERT OR IGNORE INTO runs\");",
              "x(\"UPDATE runs SET a = 1\");", "x(\"DELETE FROM runs\");",
              "x(\"PRAGMA user_version\");", "x(R\"sql(SELECT \"a\")sql\");",
              "x(\"select a from runs\");", "x(\"update runs set a = 1\");"})
        {
            assertBreaks(rules::sql, "agent/run/Engine.cpp", code);
            assertKeeps(rules::sql, "agent/store/RunStore.cpp", code);
        }
        for (const char* code :
             {"// SELECT 1", "x(\"select a stage\");", "UPDATE(1);",
              "x(\"the update of a service\");", "/* \"DELETE FROM runs\" */", "#pragma once"})
            assertKeeps(rules::sql, "agent/run/Engine.cpp", code);
    }

    void testOnlyConfigReadsTheConfiguration()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::configuration));
    }

    void testSeesTheConfigurationReadElsewhere()
    {
        for (const char* code :
             {"config().getString(\"a\");", "config.getInt(\"a\", 1);", "c->getInt64(\"a\");",
              "c.getBool(\"a\");", "c.getRawString(\"a\");", "c.getUInt (\"a\");"})
        {
            assertBreaks(rules::configuration, "agent/AgentApplication.cpp", code);
            assertKeeps(rules::configuration, "agent/Config.cpp", code);
        }
        assertKeeps(rules::configuration, "agent/ctl/Json.cpp", "value.GetString();");
        assertKeeps(rules::configuration, "agent/ctl/Json.cpp", "widgetString(1);");
    }

    void testTheLayoutTableSaysTheSame()
    {
        std::ifstream in(std::filesystem::path(STAGE_AGENT_SOURCE_DIR) / "CONTRIBUTING.md");
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        const std::string path = "CONTRIBUTING.md";
        CPPUNIT_ASSERT(rules::layoutTable({.path = path, .text = text}).empty());
        const auto broken = [&](const std::string& from, const std::string& to)
        {
            std::string changed = text;
            changed.replace(changed.find(from), from.size(), to);
            return rules::layoutTable({.path = path, .text = changed}).size();
        };
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), broken("| nothing of ours |", "| os |"));
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), broken("`agent/shim`", "`agent/shims`"));
    }

    void testNoFileIsTooLong() { CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::length)); }

    void testSeesAFileThatIsTooLong()
    {
        assertKeeps(rules::length, "agent/run/Engine.cpp", std::string(450, '\n'));
        assertBreaks(rules::length, "agent/run/Engine.cpp", std::string(451, '\n'));
    }

    void testNoClassIsTooLarge()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::classSize));
        std::string functions;
        for (int i = 0; i < 25; ++i)
            functions += "void f" + std::to_string(i) + "();\n";
        const auto with = [&](const std::string& more)
        { return "class Large\n{\n" + functions + more + "};\n"; };
        assertKeeps(rules::classSize, "agent/run/Large.h", with("int _value = f1();\n"));
        assertBreaks(rules::classSize, "agent/run/Large.h", with("private: void more();\n"));
    }

    void testCountsTheFunctionsOfAClass()
    {
        const auto counted = [](const std::string& body)
        {
            const auto sizes =
                classSizes("namespace agent { struct X final : Y<int> {" + body + "}; }");
            CPPUNIT_ASSERT(!sizes.empty());
            CPPUNIT_ASSERT_EQUAL(std::string("X"), sizes.back().name);
            return sizes.back().functions;
        };
        CPPUNIT_ASSERT_EQUAL(
            0, counted("using Z = int(int); friend void f(); enum class E { A, B };"));
        CPPUNIT_ASSERT_EQUAL(0, counted("int a = f(1); int b{g(2)}; std::function<void(int)> _c;"));
        CPPUNIT_ASSERT_EQUAL(0, counted("static constexpr int d = sizeof(int); alignas(8) int e;"));
        CPPUNIT_ASSERT_EQUAL(0, counted("X(const X&) = delete; ~X() = default;"));
        CPPUNIT_ASSERT_EQUAL(
            2, counted("public: X(int a) : _a(a), _b{a} {} ~X(); private: int _a, _b;"));
        CPPUNIT_ASSERT_EQUAL(
            2, counted("bool operator()(int) const; bool operator<(const X&) const;"));
        CPPUNIT_ASSERT_EQUAL(1,
                             counted("[[nodiscard]] int f() const { if (x) { g(); } return 1; }"));
        CPPUNIT_ASSERT_EQUAL(
            1, counted("template <typename T> T f(std::map<int, T> m = {}); int n = 0;"));
        CPPUNIT_ASSERT_EQUAL(1, counted("struct In { void a(); void b(); }; void c(); In _in;"));
        CPPUNIT_ASSERT_EQUAL(1, counted("std::vector<std::function<void()>> f() const;"));
    }

    void testNothingIsLeftForLater()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), breaches(rules::leftForLater));
    }

    void testSeesWhatIsLeftForLater()
    {
        const std::string todo = "TO"
                                 "DO";
        assertBreaks(rules::leftForLater, "agent/run/Engine.cpp", "// " + todo + ": more");
        assertBreaks(rules::leftForLater, "plugins/git/Git.cpp",
                     "x(); /* FIX"
                     "ME */");
        assertKeeps(rules::leftForLater, "agent/run/Engine.cpp", "// " + todo + "S");
    }

    void testTellsCodeFromCommentsAndLiterals()
    {
        const auto parts = takeApart("a(\"x \\\" y\", 'c', '\\''); // \"no\"\n"
                                     "b /* \"no\" \n ' */ (1'000, R\"d(p \")\" q)d\");\n"
                                     "\"//\" c;");
        CPPUNIT_ASSERT_EQUAL(std::string("a(\"\", '', ''); \nb \n (1'000, \"\");\n\"\" c;"),
                             parts.code);
        CPPUNIT_ASSERT_EQUAL(std::string("x \\\" y c \\' \n\np \")\" q \n// "), parts.literals);
    }

    void testNamesTheLine()
    {
        const auto problems = rules::sql(
            {.path = "agent/run/Engine.cpp", .text = "/*\n*/\nx(R\"(\n)\",\n  \"SELECT 1\");\n"});
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), problems.size());
        CPPUNIT_ASSERT_EQUAL(std::string("agent/run/Engine.cpp:5: SQL is for store/ only: SELECT"),
                             problems[0]);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(IncludeRulesTest);

} // namespace agent
