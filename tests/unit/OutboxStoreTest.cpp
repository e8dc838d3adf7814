#include "agent/store/OutboxStore.h"
#include "agent/outbox/TargetSpec.h"
#include "agent/store/RunStore.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Records.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <string>
#include <vector>

namespace agent
{

/// The reports on record, and the files that say who gets them.
class OutboxStoreTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(OutboxStoreTest);
    CPPUNIT_TEST(testAReportComesBackAsItWas);
    CPPUNIT_TEST(testATargetsReportsAreReadOnInTheirOrder);
    CPPUNIT_TEST(testNumbersCountInARunAndEndWithIt);
    CPPUNIT_TEST(testTargetsAndTheirBacklog);
    CPPUNIT_TEST(testASubscriptionSelectsEventsAndServices);
    CPPUNIT_TEST(testATargetIsReadFromItsFile);
    CPPUNIT_TEST(testMistakesOfAFileAreToldWithTheirPlace);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAReportComesBackAsItWas()
    {
        const Report report = made("one", "run");
        _store.append(report);
        for (const auto& found : {_store.find(1), _store.find(report.id)})
        {
            CPPUNIT_ASSERT(found);
            CPPUNIT_ASSERT_EQUAL(std::int64_t(1), found->seq);
            CPPUNIT_ASSERT_EQUAL(report.id, found->id);
            CPPUNIT_ASSERT_EQUAL(report.target, found->target);
            CPPUNIT_ASSERT_EQUAL(report.runId, found->runId);
            CPPUNIT_ASSERT_EQUAL(report.number, found->number);
            CPPUNIT_ASSERT_EQUAL(report.event, found->event);
            CPPUNIT_ASSERT_EQUAL(report.at, found->at);
            CPPUNIT_ASSERT_EQUAL(report.body, found->body);
        }
        CPPUNIT_ASSERT(_store.list(0, 10).front().body.empty());
        CPPUNIT_ASSERT(_store.remove(1));
        CPPUNIT_ASSERT(!_store.remove(1));
        CPPUNIT_ASSERT(!_store.find(1));
    }

    void testATargetsReportsAreReadOnInTheirOrder()
    {
        for (const char* target : {"a", "b", "a", "a"})
            _store.append(made(target, "run"));
        std::vector<std::int64_t> seqs;
        for (const auto& entry : _store.waiting("a", 1, 10))
            seqs.push_back(entry.seq);
        CPPUNIT_ASSERT(seqs == std::vector<std::int64_t>({3, 4}));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _store.waiting("a", 0, 1).size());
        CPPUNIT_ASSERT_EQUAL(3, _store.removeAll("a"));
        // A number that was given is never given again: readers go on behind it.
        _store.append(made("a", "run"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(5), _store.waiting("a", 4, 10).front().seq);
    }

    void testNumbersCountInARunAndEndWithIt()
    {
        RunStore runs(_database.writer());
        Run run;
        run.id = newId();
        runs.insert(run);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), _store.takeNumber(run.id));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), _store.takeNumber(run.id));
        runs.removeRun(run.id);
        runs.insert(run);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), _store.takeNumber(run.id));
    }

    void testTargetsAndTheirBacklog()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), _store.targetAfter(""));
        for (const char* target : {"b", "a", "b"})
            _store.append(made(target, "run"));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), _store.targetAfter(""));
        CPPUNIT_ASSERT_EQUAL(std::string("b"), _store.targetAfter("a"));
        CPPUNIT_ASSERT_EQUAL(std::string(), _store.targetAfter("b"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), _store.backlog("b").reports);
        CPPUNIT_ASSERT_EQUAL(TimeMs(1001), *_store.backlog("b").oldestAt);
        CPPUNIT_ASSERT(!_store.backlog("c").oldestAt);
    }

    void testASubscriptionSelectsEventsAndServices()
    {
        const Subscription all{"t", {}, {}};
        CPPUNIT_ASSERT(all.wants("run.changed", "") && all.wants("stage.changed", "x"));
        const Subscription some{"t", {"pay*"}, {"run.ended"}};
        CPPUNIT_ASSERT(some.wants("run.ended", "payment"));
        CPPUNIT_ASSERT(!some.wants("run.changed", "payment"));
        CPPUNIT_ASSERT(!some.wants("run.ended", "shop"));
        CPPUNIT_ASSERT(!some.wants("run.ended", ""));
    }

    void testATargetIsReadFromItsFile()
    {
        secret("SIGN", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        secret("TOKEN", "tok");
        file("a.yaml", "name: a\ntype: webhook\nurl: https://ci.example.org/x?key=1\nsecret: SIGN\n"
                       "token: TOKEN\nservices: [pay*]\nevents: [run.ended]\n"
                       "allow_link_local: true\nx-note: free\n");
        file("b.yml", "{name: b, type: webhook, url: 'http://127.0.0.1:1/'}");
        file(".c.yaml", "an editor's");
        file("readme.txt", "no target");
        const auto targets = read();
        CPPUNIT_ASSERT_EQUAL(std::string(), told());
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), targets.size());
        const TargetSpec& a = targets.front();
        CPPUNIT_ASSERT_EQUAL(std::size_t(24), a.secret.size());
        CPPUNIT_ASSERT_EQUAL(std::string("tok"), a.token);
        CPPUNIT_ASSERT_EQUAL(std::string("https://ci.example.org/x"), shownUrl(a.url));
        CPPUNIT_ASSERT(a.linkLocal && a.events.size() == 1 && a.services.size() == 1);
        CPPUNIT_ASSERT(!targets.back().linkLocal && targets.back().secret.empty());
    }

    void testMistakesOfAFileAreToldWithTheirPlace()
    {
        secret("SHORT", "whsec_QUJD");
        secret("PLAIN", "correct horse battery staple");
        secret("OPEN", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        std::filesystem::permissions(_files.path() / "secrets/OPEN", std::filesystem::perms(0644));
        secret("SPLIT", "two words");
        const std::string head = "name: a\ntype: webhook\n";
        const std::string forge = "name: a\ntype: gitlab\n";
        secret("TOKEN", "glpat-token");
        const std::string url = "url: https://ci.example.org\n";
        for (const auto& [text, key] : std::vector<std::pair<std::string, std::string>>{
                 {"type: webhook\n" + url, "name"},
                 {"name: a/b\ntype: webhook\n" + url, "name"},
                 {"name: a\n" + url, "type"},
                 {"name: a\ntype: email\n" + url, "type"},
                 {head, "url"},
                 {head + "url: ftp://x\n", "url"},
                 {head + "url: 'https://'\n", "url"},
                 {head + "url: https://user:pw@x\n", "url"},
                 {head + "url: 'https://x/a#b'\n", "url"},
                 {head + "url: 'https://x/a b'\n", "url"},
                 {head + "url: file:///etc/passwd\n", "url"},
                 {head + url + "secret: NONE\n", "secret"},
                 {head + url + "secret: ../services.d/x\n", "secret"},
                 {head + url + "secret: SHORT\n", "secret"},
                 {head + url + "secret: PLAIN\n", "secret"},
                 {head + url + "secret: OPEN\n", "secret"},
                 {head + url + "token: SPLIT\n", "token"},
                 {head + url + "services: x\n", "services"},
                 {head + url + "events: [run.end]\n", "events[0]"},
                 {head + url + "retries: 3\n", "retries"},
                 {head + url + "context: stage\n", "context"},
                 {head + url + "hosts: [x]\n", "hosts"},
                 {head + url + "log_bytes: 5\n", "log_bytes"},
                 {forge + url, "token"},
                 {forge + url + "token: OPEN\n", "token"},
                 {forge + "url: https://x/api?private_token=1\ntoken: TOKEN\n", "url"},
                 {forge + url + "token: TOKEN\nevents: [run.ended]\n", "events"},
                 {forge + url + "token: TOKEN\nsecret: TOKEN\n", "secret"},
                 {forge + url + "token: TOKEN\ncontext: commit\n", "context"},
                 {forge + url + "token: TOKEN\nhosts: x\n", "hosts"}})
        {
            file("a.yaml", text);
            const auto targets = read();
            CPPUNIT_ASSERT_MESSAGE(text, targets.empty());
            CPPUNIT_ASSERT_MESSAGE(text + told(), told().find("a.yaml") != std::string::npos &&
                                                      told().find(": " + key) != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(told(), told().find("battery") == std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::size_t(1), _refused.size());
        }
        file("a.yaml", head + url);
        file("b.yaml", head + url);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), read().size());
        CPPUNIT_ASSERT_MESSAGE(told(), told().find("declared in") != std::string::npos);
    }

private:
    Report made(const std::string& target, const std::string& run)
    {
        const std::int64_t number = ++_made;
        return {.id = newId(),
                .target = target,
                .runId = run,
                .number = number,
                .event = "run.changed",
                .at = 1000 + number,
                .body = awkward};
    }

    void file(const std::string& name, const std::string& text)
    {
        (void)_files.write("outbox.d/" + name, text);
    }

    void secret(const std::string& name, const std::string& text)
    {
        const auto path = _files.write("secrets/" + name, text);
        std::filesystem::permissions(path, std::filesystem::perms(0600));
    }

    std::vector<TargetSpec> read()
    {
        _problems.clear();
        _refused.clear();
        return readTargets(_files.path() / "outbox.d", _files.path() / "secrets", _problems,
                           _refused);
    }

    std::string told() const
    {
        std::string all;
        for (const auto& problem : _problems)
            all += problem.describe() + "\n";
        return all;
    }

    std::int64_t _made = 0;
    FilesFolder _files;
    Database _database{_files.path() / "record.db"};
    OutboxStore _store{_database.writer()};
    std::vector<Problem> _problems;
    std::vector<std::string> _refused;
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutboxStoreTest);

} // namespace agent
