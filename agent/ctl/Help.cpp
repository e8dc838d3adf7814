// The help of stagectl besides the options: examples by verb, and topics.
#include "agent/ctl/Help.h"

#include "agent/ctl/Text.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <array>
#include <map>
#include <sstream>
#include <utility>

namespace agent::ctl
{

namespace
{

constexpr std::size_t widest = 80;
constexpr std::size_t left = 26; // columns of names and options

// Lines of at most 80 columns: tests hold them to it.
constexpr const char* programFooter =
    R"(stagectl VERB --help explains a verb and shows examples. Topics:
  stagectl help ids          how runs and stages are named: RUN/BUILD, SERVICE
  stagectl help output       -o wide, name, json, yaml; --watch
  stagectl help agents       which agent is asked; several of them; the token
  stagectl help exit-codes   what scripts can rely on

Examples:
  stagectl run payment --follow         start a run and follow it
  stagectl runs --status failed,running list what failed and what runs
  stagectl logs payment                 the log of what failed or runs
  stagectl ps payment                   its processes, and what they wait for
  stagectl exec payment UNIT_TEST       execute one stage locally
  stagectl init                         a first service file for this repository)";

constexpr const char* idsTopic = R"(How runs and stages are named

A run:
  UUID          in full, or at least 6 of its first characters
  SERVICE       the newest run of the service of this name
A stage:
  UUID          likewise; a prefix is searched in the newest 100 runs
  RUN/PART      of a run, given as above: by its name, its type, or its number
                from 0, such as payment/BUILD or 81ca09fd/unit-test
  RUN           to read: the failed, else the running, else the waiting stage,
                else the last that ran. To change it: the running, else the
                failed, else the waiting one

Tables show 8 characters of an id on a terminal, full ids in a pipe.
)";

constexpr const char* outputTopic = R"(What is printed

A terminal gets short ids, the dashboard's words, colours (not with NO_COLOR)
and tables that fit; a pipe gets full ids and the API's words, uncut.
  -o wide       all columns, uncut
  -o name       only the ids or names, a line each
  -o json       the API's answer as one document; the same as --json
  -o yaml       that document as YAML
  --watch       show a list again every 2 seconds, until Ctrl-C
Logs: colours pass, other escape sequences and control characters are escaped
(\x1b), also in a pipe; of a line that a program redrew, as progress bars are,
the last state is shown. logs --raw prints the bytes unchanged.
)";

constexpr const char* agentsTopic = R"(Which agent is asked

The first of these that is there:
  --agent URL                    also HOST:PORT, for http://HOST:PORT
  $STAGE_AGENT_URL               several URLs are separated by blanks
  agent = URL                    lines in ~/.config/stagectl
  the socket of this host's agent: unix:///run/stage-agent/api.sock, or
  api.sock in its state folder
  http://127.0.0.1:7824
For https:// the certificates of the system are believed, or those of
--ca-file or `ca-file = PATH`.

Several agents (--agent and lines repeated) are asked in parallel: their lists
are merged, with a column HOST, and --json is a list with the URL of each
object's agent as "agent"; ids are looked up on all. An agent that does not
answer in 15 s is reported; the exit code is the highest of all agents.

The token: --token-file, $STAGE_AGENT_TOKEN, `token-file = PATH` in
~/.config/stagectl, else admin.token in the default state folder of an agent
on this host, where you may read it.
)";

constexpr const char* exitTopic = R"(Exit codes

  0    success
  1    the followed run or executed stage failed, or the doctor found a fault
  2    invalid usage or configuration
  3    refused by the agent (4xx)
  4    not found
  5    not possible now (409, 412)
  6    no answer from the agent
  7    the agent failed (5xx), is not ready, or is not a stage-agent
  130  interrupted: a followed run goes on, an executed stage is ended
  141  the reader of exec's output is gone; its stage was ended
logs -f exits with 0 once the stage has ended, whatever its status.
)";

const std::map<std::string, std::string>& examples()
{
    static const std::map<std::string, std::string> all{
        {"run", "  stagectl run payment --follow\n"
                "  stagectl run payment --branch fix/retry --env DEBUG=1\n"
                "  id=$(stagectl run payment)"},
        {"runs", "  stagectl runs --status failed,running\n"
                 "  stagectl runs --service payment --branch main --since 1d\n"
                 "  stagectl runs --watch\n"
                 "  stagectl runs -o wide --limit 100"},
        {"stages", "  stagectl stages payment         of its newest run\n"
                   "  stagectl stages 81ca09fd --watch"},
        {"describe", "  stagectl describe payment\n"
                     "  stagectl describe payment/UNIT_TEST"},
        {"ps", "  stagectl ps payment             of the stage that runs\n"
               "  stagectl ps 81ca09fd/BUILD --watch"},
        {"approve", "  stagectl approve payment"},
        {"reject", "  stagectl reject payment --reason \"freeze until Monday\""},
        {"stop", "  stagectl stop 81ca09fd"},
        {"rerun", "  stagectl rerun payment --follow"},
        {"tests", "  stagectl tests payment\n"
                  "  stagectl tests 81ca09fd --details"},
        {"artifacts", "  stagectl artifacts payment\n"
                      "  stagectl artifacts payment/BUILD --get 'dist/**' --to /tmp/dist"},
        {"keep", "  stagectl keep payment\n"
                 "  stagectl keep 81ca09fd --undo"},
        {"stage", "  stagectl stage payment/BUILD"},
        {"logs", "  stagectl logs payment           what failed or runs in its newest run\n"
                 "  stagectl logs payment/BUILD -f\n"
                 "  stagectl logs 3f2a9c --tail 50 --timestamps"},
        {"patch", "  stagectl patch payment failed --reason \"waits for a stale lock\"\n"
                  "  stagectl patch payment/BUILD success --reason \"its work was done\""},
        {"retry", "  stagectl retry payment --reason \"flaky network\""},
        {"skip", "  stagectl skip payment/DEPLOY_PROD --reason \"not this time\""},
        {"history", "  stagectl history payment        of the whole run"},
        {"delete", "  stagectl delete 81ca09fd --yes"},
        {"exec", "  stagectl exec payment UNIT_TEST --keep\n"
                 "  stagectl exec payment UNIT_TEST --from payment  in what its run left\n"
                 "  stagectl exec payment UNIT_TEST --workspace ~/payment"},
        {"doctor", "  sudo stagectl doctor\n"
                   "  sudo stagectl doctor --record"},
        {"init", "  cd ~/src/payment && stagectl init\n"
                 "  stagectl init --services ~/services.d --name payment"},
        {"lint", "  stagectl lint\n"
                 "  stagectl lint ci/pipeline.yaml --service payment\n"
                 "  stagectl lint --schema >pipeline.schema.json"},
        {"caches", "  stagectl caches --service payment\n"
                   "  stagectl caches --remove 0c5f2d6e9b7a4c31"},
        {"drain", "  stagectl drain && stagectl agent --watch"}};
    return all;
}

/// Wraps descriptions, which stand in the right column.
class Help: public CLI::Formatter
{
public:
    Help() { column_width(left); }

    std::string make_option(const CLI::Option* option, bool positional) const override
    {
        // CLI11 puts what a check accepts behind the type: `N:INT in [1 - 1000]`.
        std::string value = make_option_opts(option);
        if (const auto colon = value.find(':'); colon != std::string::npos)
            value.erase(colon);
        return entry("  " + make_option_name(option, positional) + value, make_option_desc(option));
    }

    std::string make_subcommand(const CLI::App* verb) const override
    {
        return entry("  " + verb->get_name(), verb->get_description());
    }

private:
    /// Returns the name and, beside it or below, the description in lines that fit.
    static std::string entry(const std::string& name, const std::string& description)
    {
        std::string out = name;
        std::size_t column = displayWidth(name);
        if (column + 1 > left && !description.empty())
        {
            out += "\n";
            column = 0;
        }
        std::istringstream words(description);
        bool begun = false;
        for (std::string word; words >> word;)
        {
            if (begun && column + 1 + displayWidth(word) > widest)
            {
                out += "\n";
                column = 0;
                begun = false;
            }
            if (!begun)
            {
                out.append(left - column, ' ');
                column = left;
            }
            out.append(begun ? " " : "").append(word);
            column += displayWidth(word) + (begun ? 1 : 0);
            begun = true;
        }
        return out + "\n";
    }
};

} // namespace

std::shared_ptr<CLI::Formatter> helpFormatter()
{
    return std::make_shared<Help>();
}

void addFooters(CLI::App& app)
{
    app.footer(programFooter);
    for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    {
        const auto found = examples().find(verb->get_name());
        verb->footer(found == examples().end() ? "" : "Examples:\n" + found->second);
    }
}

std::string topicText(const std::string& topic)
{
    static const std::map<std::string, std::string> topics{{"ids", idsTopic},
                                                           {"output", outputTopic},
                                                           {"agents", agentsTopic},
                                                           {"exit-codes", exitTopic}};
    const auto found = topics.find(topic);
    return found == topics.end() ? "" : found->second;
}

} // namespace agent::ctl
