// `stagectl init`: a first service file for the repository in which it is called, by what that is built with.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <fstream>
#include <sstream>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::runProgram;
using agent::test::waitFor;

namespace fs = std::filesystem;

class StagectlInitTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlInitTest);
    CPPUNIT_TEST(testKnowsWhatARepositoryIsBuiltWith);
    CPPUNIT_TEST(testTakesUrlAndBranchWithoutThePassword);
    CPPUNIT_TEST(testTheAgentTakesWhatItWrites);
    CPPUNIT_TEST(testOverwritesNothingUnasked);
    CPPUNIT_TEST(testSaysWhatIsMissing);
    CPPUNIT_TEST_SUITE_END();

public:
    void testKnowsWhatARepositoryIsBuiltWith()
    {
        const auto commands =
            [&](const std::string& name, const std::string& file, const std::string& text)
        {
            const fs::path folder = repository(name);
            std::ofstream(folder / file) << text;
            const std::string shown = done(folder, {"--print"});
            CPPUNIT_ASSERT_MESSAGE(shown,
                                   shown.find("\nname: " + name + "\n") != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(shown, shown.find("  - type: PREPARE\n    plugin: git\n") !=
                                              std::string::npos);
            std::istringstream lines(shown);
            std::string found;
            for (std::string line; std::getline(lines, line);)
                if (line.starts_with("        "))
                    found += line.substr(8) + "\n";
            return found;
        };
        CPPUNIT_ASSERT_EQUAL(
            std::string("set -e\nnpm install\nnpm run lint\nnpm run test\n"),
            commands("node", "package.json",
                     R"({"scripts": {"test": "node --test", "lint": "eslint ."}})"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("npm install\n"),
            commands("bare", "package.json",
                     R"({"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}})"));
        CPPUNIT_ASSERT_EQUAL(std::string("set -e\ncmake -S . -B build -DCMAKE_BUILD_TYPE=Release\n"
                                         "cmake --build build --parallel\n"
                                         "ctest --test-dir build --output-on-failure\n"),
                             commands("cmake", "CMakeLists.txt", ""));
        CPPUNIT_ASSERT_EQUAL(std::string("cargo build\ncargo test\n"),
                             commands("cargo", "Cargo.toml", ""));
        CPPUNIT_ASSERT_EQUAL(std::string("go vet ./...\ngo build ./...\ngo test ./...\n"),
                             commands("go", "go.mod", ""));
        CPPUNIT_ASSERT_EQUAL(std::string("set -e\npython3 -m venv .venv\n"
                                         ".venv/bin/pip install -r requirements.txt\n"
                                         ".venv/bin/python -m pytest\n"),
                             commands("python", "requirements.txt", "pytest==8\n"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("make\nmake check\n"),
            commands("make", "Makefile", "CC := cc\nall: x\n\tcc\ncheck: all\n\t./x\n"));
    }

    void testTakesUrlAndBranchWithoutThePassword()
    {
        const fs::path folder = repository("app");
        std::ofstream(folder / ".git/HEAD") << "ref: refs/heads/release/2.4\n";
        std::ofstream(folder / ".git/config")
            << "[core]\n\tbare = false\n[remote \"upstream\"]\n\turl = "
               "https://elsewhere.example/x\n"
               "[remote \"origin\"]\n\turl = https://me:hunter22@git.example/acme/app.git\n";
        std::ofstream(folder / "go.mod") << "module app\n";
        fs::create_directory(folder / "below");
        const Ended ended = init(folder / "below", {"--services", services()}, 0);
        CPPUNIT_ASSERT(ended.err.find("holds a password") != std::string::npos);
        const std::string written = contentOf(services() + "/app.yaml");
        for (const char* part :
             {"repository: \"https://git.example/acme/app.git\"\n", "branch: \"release/2.4\"\n"})
            CPPUNIT_ASSERT_MESSAGE(written, written.find(part) != std::string::npos);
        CPPUNIT_ASSERT(written.find("hunter22") == std::string::npos);
    }

    void testTheAgentTakesWhatItWrites()
    {
        _daemon.start();
        // Symptom: `<6>ready` on a terminal. Bound: priorities are for the journal only.
        CPPUNIT_ASSERT_MESSAGE(_daemon.output(), _daemon.output().find("<6>") == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(_daemon.output(),
                               _daemon.output().find("ready: ") != std::string::npos);
        const fs::path folder = repository("My+App");
        std::ofstream(folder / "Makefile") << "all:\n\techo made\n";
        const std::string said =
            done(folder, {"--services", (_daemon.folder() / "services.d").string()});
        CPPUNIT_ASSERT_MESSAGE(said, said.find("Make, 2 stages; checked\n") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(said,
                               said.find("stagectl run My-App --follow\n") != std::string::npos);
        _daemon.signal(SIGHUP);
        waitFor("the service", [&] { return _daemon.get("/api/services/My-App").status == 200; });
    }

    void testOverwritesNothingUnasked()
    {
        const fs::path folder = repository("app");
        std::ofstream(folder / "go.mod") << "module app\n";
        done(folder, {"--services", services()});
        CPPUNIT_ASSERT(init(folder, {"--services", services()}, 2).err.find("--force") !=
                       std::string::npos);
        done(folder, {"--services", services(), "--force"});
        done(folder, {"--services", services(), "--name", "other"});
        CPPUNIT_ASSERT(fs::exists(services() + "/other.yaml"));
        CPPUNIT_ASSERT(init(folder, {"--print", "--name", "a/b"}, 2).err.find("--name") !=
                       std::string::npos);
    }

    void testSaysWhatIsMissing()
    {
        fs::create_directory(_daemon.folder() / "plain");
        CPPUNIT_ASSERT(init(_daemon.folder() / "plain", {}, 2).err.find("in no git repository") !=
                       std::string::npos);
        const fs::path folder = repository("app");
        CPPUNIT_ASSERT(init(folder, {}, 2).err.find("there is no package.json") !=
                       std::string::npos);
        std::ofstream(folder / "go.mod") << "module app\n";
        CPPUNIT_ASSERT(
            init(folder, {"--services", "/nowhere"}, 2).err.find("/nowhere is no folder") !=
            std::string::npos);
    }

private:
    [[nodiscard]] fs::path repository(const std::string& name) const
    {
        const fs::path folder = _daemon.folder() / name;
        fs::create_directories(folder / ".git");
        std::ofstream(folder / ".git/HEAD") << "ref: refs/heads/main\n";
        std::ofstream(folder / ".git/config") << "[core]\n";
        return folder;
    }

    [[nodiscard]] std::string services() const
    {
        fs::create_directories(_daemon.folder() / "written");
        return (_daemon.folder() / "written").string();
    }

    static std::string contentOf(const fs::path& file)
    {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    [[nodiscard]] Ended init(const fs::path& folder, std::vector<std::string> arguments,
                             int exitCode) const
    {
        arguments.insert(arguments.begin(), {STAGE_AGENT_BIN_DIR "/stagectl", "init"});
        Ended ended = runProgram(arguments, folder, {{"HOME", _daemon.folder().string()}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, exitCode, ended.exitCode);
        return ended;
    }

    std::string done(const fs::path& folder, const std::vector<std::string>& arguments) const
    {
        return init(folder, arguments, 0).out;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlInitTest);
