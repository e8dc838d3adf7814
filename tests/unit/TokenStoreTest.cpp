#include "agent/store/TokenStore.h"
#include "agent/model/Id.h"
#include "agent/store/RunStore.h"
#include "agent/store/ServiceRuns.h"
#include "tests/support/FilesFolder.h"

#include <Poco/Exception.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

namespace agent
{

/// Tokens on record, and what a token that is narrowed to services lists.
class TokenStoreTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TokenStoreTest);
    CPPUNIT_TEST(testKeepsEveryFieldOfAToken);
    CPPUNIT_TEST(testANameAndADigestStandOnce);
    CPPUNIT_TEST(testAUseOfNoTokenChangesNothing);
    CPPUNIT_TEST(testRunsOfSeveralServicesAreOneList);
    CPPUNIT_TEST(testRunsOfNoServiceAreNone);
    CPPUNIT_TEST(testARunOfAPullRequestIsNoneOfItsBranch);
    CPPUNIT_TEST_SUITE_END();

public:
    void testKeepsEveryFieldOfAToken()
    {
        const Token full{.name = "bot",
                         .role = Role::Operate,
                         .services = {"pay*", "shop"},
                         .proxy = true,
                         .digest = "d1",
                         .createdAt = 1,
                         .expiresAt = 2,
                         .lastUsedAt = 3};
        const Token bare{.name = "a", .digest = "d2"};
        _store.insert(full);
        _store.insert(bare);
        const auto all = _store.all();
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), all.size());
        CPPUNIT_ASSERT_EQUAL(text(bare), text(all[0]));
        CPPUNIT_ASSERT_EQUAL(text(full), text(all[1]));
        CPPUNIT_ASSERT_EQUAL(text(full), text(*_store.find("bot")));
        for (const Role role : {Role::Read, Role::Run, Role::Operate, Role::Admin})
        {
            const std::string name(toString(role));
            _store.insert({.name = name, .role = role, .digest = name});
            CPPUNIT_ASSERT(_store.find(name)->role == role);
        }
        _store.setUsed("bot", 9);
        CPPUNIT_ASSERT(_store.find("bot")->lastUsedAt == 9);
        CPPUNIT_ASSERT(!_store.find("a")->lastUsedAt);
        _store.remove("bot");
        CPPUNIT_ASSERT(!_store.find("bot"));
    }

    void testANameAndADigestStandOnce()
    {
        _store.insert({.name = "a", .digest = "d"});
        CPPUNIT_ASSERT_THROW(_store.insert({.name = "a", .digest = "e"}), Poco::Exception);
        CPPUNIT_ASSERT_THROW(_store.insert({.name = "b", .digest = "d"}), Poco::Exception);
    }

    void testAUseOfNoTokenChangesNothing()
    {
        _store.setUsed("none", 1);
        _store.remove("none");
        CPPUNIT_ASSERT(_store.all().empty());
    }

    void testRunsOfSeveralServicesAreOneList()
    {
        RunStore runs(_database.writer());
        std::vector<std::string> wanted;
        // Of one service many in a row, of others now and then, of some none.
        for (int i = 0; i < 200; ++i)
        {
            const std::string service = i % 50 == 0 ? "rare" : i < 120 ? "early" : "late";
            Run run{.id = newId(),
                    .status = i % 3 == 0 ? Status::Failure : Status::Success,
                    .serviceId = i % 7 == 0 ? "" : service};
            run.serviceName = run.serviceId;
            runs.insert(run);
            if (run.serviceId == "rare" || run.serviceId == "late")
                wanted.insert(wanted.begin(), run.id);
        }
        ServiceRuns of(_database.writer());
        const auto services = of.services();
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), services.size());
        const auto some = ServiceChoice::only({"late", "none", "rare"});
        for (const int limit : {1, 2, 16, 17, 50, 1000})
        {
            std::vector<std::string> found;
            RunFilter filter{.limit = limit};
            for (auto page = of.runs(filter, some); !page.empty(); page = of.runs(filter, some))
            {
                CPPUNIT_ASSERT(page.size() <= static_cast<std::size_t>(limit));
                for (const auto& run : page)
                    found.push_back(run.id);
                filter.beforeSeq = page.back().seq;
            }
            CPPUNIT_ASSERT(found == wanted);
        }
        for (const auto& run : of.runs({.statuses = {Status::Failure}, .limit = 1000}, some))
            CPPUNIT_ASSERT(run.status == Status::Failure &&
                           std::find(wanted.begin(), wanted.end(), run.id) != wanted.end());
        CPPUNIT_ASSERT(of.runs({.serviceId = "early"}, some).empty());
    }

    /// No service is not all services: a token whose services match none sees no run, however it asks.
    /// Symptom: a push was not run. Cause: the run of its pull request counted, which has no secrets and no deployment.
    void testARunOfAPullRequestIsNoneOfItsBranch()
    {
        RunStore runs(_database.writer());
        ServiceRuns of(_database.writer());
        for (const TriggerType trigger :
             {TriggerType::PrOpen, TriggerType::PrSync, TriggerType::Main})
        {
            CPPUNIT_ASSERT(!of.hasRun("a", "c0ffee", "main"));
            Run run{.id = newId(),
                    .commitHash = "c0ffee",
                    .trigger = trigger,
                    .serviceId = "a",
                    .serviceName = "a",
                    .branch = "main"};
            runs.insert(run);
        }
        CPPUNIT_ASSERT(of.hasRun("a", "c0ffee", "main"));
    }

    void testRunsOfNoServiceAreNone()
    {
        RunStore runs(_database.writer());
        for (const char* service : {"a", "b", ""})
            for (const char* branch : {"main", "next"})
            {
                Run run{.id = newId(),
                        .commitHash = "c0ffee",
                        .status = Status::Success,
                        .serviceId = service,
                        .serviceName = service,
                        .branch = branch};
                runs.insert(run);
            }
        ServiceRuns of(_database.writer());
        const std::vector<RunFilter> filters{{},
                                             {.serviceId = "a"},
                                             {.statuses = {Status::Success}},
                                             {.statuses = {Status::Success, Status::Failure}},
                                             {.branch = "main"},
                                             {.serviceId = "a", .branch = "main"},
                                             {.commit = "c0"},
                                             {.since = 0}};
        for (const auto& filter : filters)
        {
            for (const auto& none : {ServiceChoice::only({}), ServiceChoice::only({"none"})})
            {
                CPPUNIT_ASSERT(of.runs(filter, none).empty());
                CPPUNIT_ASSERT(!of.page(filter, none));
            }
            CPPUNIT_ASSERT(!of.runs(filter, ServiceChoice::all()).empty());
        }
        const auto ofBranch = of.runs({.branch = "main"}, ServiceChoice::only({"a", "none"}));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), ofBranch.size());
        CPPUNIT_ASSERT_EQUAL(std::string("a"), ofBranch[0].serviceId);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3),
                             of.runs({.branch = "main"}, ServiceChoice::all()).size());
    }

private:
    static std::string text(const Token& token)
    {
        std::string all = token.name + " " + std::string(toString(token.role)) + " " +
                          token.digest + (token.proxy ? " proxy" : "");
        for (const auto& service : token.services)
            all += " " + service;
        for (const auto& time : {std::optional(token.createdAt), token.expiresAt, token.lastUsedAt})
            all += " " + (time ? std::to_string(*time) : "none");
        return all;
    }

    FilesFolder _files;
    Database _database{_files.path() / "record.db"};
    TokenStore _store{_database.writer()};
};

CPPUNIT_TEST_SUITE_REGISTRATION(TokenStoreTest);

} // namespace agent
