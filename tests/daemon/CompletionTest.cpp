// Zsh and fish complete what bash does (StagectlHelpTest tests bash), in the layout of an installation.
#include "tests/support/FilesFolder.h"
#include "tests/support/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <iostream>
#include <set>
#include <sstream>

namespace fs = std::filesystem;
using agent::FilesFolder;
using agent::test::Ended;
using agent::test::runProgram;

class CompletionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CompletionTest);
    CPPUNIT_TEST(testZshCompletesVerbsOptionsAndValues);
    CPPUNIT_TEST(testFishCompletesVerbsOptionsAndValues);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        const fs::path conf = STAGE_AGENT_SOURCE_DIR "/conf";
        install(conf / "bash-completion/stagectl", "bash-completion/completions");
        install(conf / "zsh-completion/_stagectl", "zsh/vendor-completions");
        install(conf / "fish-completion/stagectl.fish", "fish/vendor_completions.d");
    }

    void testZshCompletesVerbsOptionsAndValues()
    {
        if (!isInstalled("zsh"))
            return;
        assertZshMakes("stagectl dr", "stagectl drain ");
        assertZshMakes("stagectl --agent http://127.0.0.1:1 runs --st",
                       "stagectl --agent http://127.0.0.1:1 runs --status ");
        assertZshMakes("stagectl runs --status awa", "stagectl runs --status awaiting_approval ");
        assertZshMakes("stagectl runs --status=awa", "stagectl runs --status=awaiting_approval ");
    }

    void testFishCompletesVerbsOptionsAndValues()
    {
        if (!isInstalled("fish"))
            return;
        using Words = std::set<std::string>;
        CPPUNIT_ASSERT(fishOffers("stagectl dr") == Words{"drain"});
        CPPUNIT_ASSERT(fishOffers("stagectl --agent http://127.0.0.1:1 runs --st") ==
                       Words{"--status"});
        CPPUNIT_ASSERT(fishOffers("stagectl runs --status awa") == Words{"awaiting_approval"});
        CPPUNIT_ASSERT(fishOffers("stagectl runs --status=awa") ==
                       Words{"--status=awaiting_approval"});
    }

private:
    void install(const fs::path& file, const std::string& folder) const
    {
        fs::create_directories(_share.path() / folder);
        fs::copy(file, _share.path() / folder);
    }

    [[nodiscard]] bool isInstalled(const std::string& shell) const
    {
        const Ended ended =
            runProgram({"/bin/sh", "-c", "command -v \"$1\"", "sh", shell}, _share.path());
        if (ended.exitCode != 0)
            std::cout << " (skipped: there is no " << shell << ") " << std::flush;
        return ended.exitCode == 0;
    }

    /// Types `line` and Tab in an interactive zsh.
    void assertZshMakes(const std::string& line, const std::string& wanted) const
    {
        const std::string script = R"(
            zmodload zsh/zpty
            zpty inner zsh -f -i
            zpty -w inner "PATH=$1:\$PATH; fpath=($2 \$fpath); autoload -U compinit; compinit -u -D"
            zpty -w inner "report() { print -r -- \"\$BUFFER\" >line }; zle -N report; bindkey '^X' report"
            zpty -w -n inner "$3"$'\t\x18'
            for i in {1..300}; do
                [[ ! -s line ]] || break
                zpty -r -t inner ignored
                sleep 0.1
            done
            cat line
            rm line
            zpty -d inner)";
        const Ended ended =
            runProgram({"/usr/bin/env", "zsh", "-f", "-c", script, "zsh", STAGE_AGENT_BIN_DIR,
                        (_share.path() / "zsh/vendor-completions").string(), line},
                       _share.path(), {{"TERM", "dumb"}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, wanted + "\n", ended.out);
    }

    [[nodiscard]] std::set<std::string> fishOffers(const std::string& line) const
    {
        const std::string script =
            "set -x PATH $argv[1] $PATH; source $argv[2]; complete -C $argv[3]";
        const Ended ended =
            runProgram({"/usr/bin/env", "fish", "--no-config", "-c", script, STAGE_AGENT_BIN_DIR,
                        (_share.path() / "fish/vendor_completions.d/stagectl.fish").string(), line},
                       _share.path(), {{"HOME", _share.path().string()}});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        std::set<std::string> offered;
        std::istringstream lines(ended.out);
        for (std::string word; std::getline(lines, word);)
            offered.insert(word);
        return offered;
    }

    FilesFolder _share;
};

CPPUNIT_TEST_SUITE_REGISTRATION(CompletionTest);
