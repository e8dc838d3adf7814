#include "agent/run/ServiceCatalog.h"

#include "agent/model/Id.h"
#include "agent/plugin/PluginRegistry.h"
#include "tests/support/FilesFolder.h"

#include <atomic>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <memory>
#include <stdexcept>
#include <sys/stat.h>
#include <thread>

namespace agent
{

class ServiceCatalogTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ServiceCatalogTest);
    CPPUNIT_TEST(testMissingFolderIsNoServices);
    CPPUNIT_TEST(testReadsYamlFilesOnly);
    CPPUNIT_TEST(testFindsByNameAndId);
    CPPUNIT_TEST(testBrokenFileNeverStopsTheOthers);
    CPPUNIT_TEST(testSecondServiceOfANameOrIdIsReported);
    CPPUNIT_TEST(testMissingPluginIsToldWithLine);
    CPPUNIT_TEST(testBrokenFileKeepsItsLastGoodVersion);
    CPPUNIT_TEST(testRemovedFileRemovesItsService);
    CPPUNIT_TEST(testRenamedServiceReplacesTheOldOne);
    CPPUNIT_TEST(testNameTakenOverFromABrokenFile);
    CPPUNIT_TEST(testProblemsOfAFileAreCapped);
    CPPUNIT_TEST(testSecretsThatNoStageCouldHaveAreRefused);
    CPPUNIT_TEST(testFailingIdSourceChangesNothing);
    CPPUNIT_TEST(testReadersGoOnDuringReloads);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _folder = std::make_unique<FilesFolder>();
        _folder->write("plugins/p/plugin.yaml",
                       "name: p\nrun: [a]\nsettings: {n: {type: number}}\n");
        ::chmod((_folder->path() / "plugins").c_str(), 0755);
        std::vector<Problem> problems;
        _registry = PluginRegistry();
        _registry.load(_folder->path() / "plugins", problems);
        CPPUNIT_ASSERT(problems.empty());
        _services = _folder->path() / "services.d";
    }

    void tearDown() override { _folder.reset(); }

    void testMissingFolderIsNoServices()
    {
        ServiceCatalog catalog;
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        CPPUNIT_ASSERT(catalog.all().empty());
        CPPUNIT_ASSERT(catalog.find("a") == nullptr);
    }

    void testReadsYamlFilesOnly()
    {
        service("b.yml", "b");
        service("a.yaml", "z");
        service("c.yaml.example", "c");
        service("d.txt", "d");
        service(".a.yaml", "e");
        service("f.yaml~", "f");
        ServiceCatalog catalog;
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("b z "), names(catalog));
    }

    void testFindsByNameAndId()
    {
        service("a.yaml", "a");
        service("b.yaml", "b", "id: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\n");
        ServiceCatalog catalog;
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        const auto a = catalog.find("a");
        CPPUNIT_ASSERT_EQUAL(_ids.at("a"), a->id);
        CPPUNIT_ASSERT(!_ids.contains("b"));
        CPPUNIT_ASSERT(catalog.find(a->id) == a);
        CPPUNIT_ASSERT_EQUAL(std::string("b"),
                             catalog.find("6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10")->name);
        CPPUNIT_ASSERT_EQUAL((_services / "a.yaml").string(), a->file);
        CPPUNIT_ASSERT(catalog.find("") == nullptr);
        CPPUNIT_ASSERT(catalog.find("A") == nullptr);
    }

    void testBrokenFileNeverStopsTheOthers()
    {
        service("a.yaml", "a");
        _folder->write("services.d/b.yaml", "name: [\n");
        _folder->write("services.d/c.yaml", "name: c\nstage: []\n");
        std::filesystem::create_directories(_services / "d.yaml");
        std::filesystem::create_symlink("nowhere", _services / "e.yaml");
        service("f.yaml", "f");
        ServiceCatalog catalog;
        const std::string problems = load(catalog);
        CPPUNIT_ASSERT_EQUAL(std::string("a f "), names(catalog));
        const auto refused = catalog.allRefused();
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, refused.size());
        CPPUNIT_ASSERT_EQUAL(std::string("b"), refused[0].name);
        CPPUNIT_ASSERT(!refused[0].inUse);
        CPPUNIT_ASSERT_MESSAGE(refused[0].problem,
                               refused[0].problem.find("b.yaml:2: malformed YAML") !=
                                   std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(refused[1].problem, refused[1].problem.ends_with(" (and 1 more)"));
        for (const std::string wanted :
             {"b.yaml:2: malformed YAML", "c.yaml:2: stage: unknown key, did you mean 'stages'?",
              "c.yaml:1: stages: is missing", "d.yaml: is no regular file",
              "e.yaml: cannot be opened"})
            CPPUNIT_ASSERT_MESSAGE(problems, problems.find(wanted) != std::string::npos);
    }

    void testSecondServiceOfANameOrIdIsReported()
    {
        const std::string id = "id: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\n";
        service("a.yaml", "same", id);
        service("b.yaml", "same");
        service("c.yaml", "other", id);
        ServiceCatalog catalog;
        CPPUNIT_ASSERT_EQUAL((_services / "b.yaml").string() +
                                 ":1: name: a service of this name is already declared in " +
                                 (_services / "a.yaml").string() + "\n" +
                                 (_services / "c.yaml").string() +
                                 ":2: id: the service 'same' has this id already\n",
                             load(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("same "), names(catalog));
    }

    void testMissingPluginIsToldWithLine()
    {
        _folder->write("services.d/a.yaml", "name: a\nstages:\n  - type: BUILD\n    plugin: q\n"
                                            "  - {type: BUILD, plugin: p, with: {n: x}}\n");
        ServiceCatalog catalog;
        CPPUNIT_ASSERT_EQUAL((_services / "a.yaml").string() +
                                 ":4: stages[0].plugin: there is no plugin 'q'\n" +
                                 (_services / "a.yaml").string() +
                                 ":5: stages[1].with.n: expected a number, found text\n",
                             load(catalog));
        CPPUNIT_ASSERT(catalog.all().empty());
    }

    void testBrokenFileKeepsItsLastGoodVersion()
    {
        service("a.yaml", "a", "branch: one\n");
        service("b.yaml", "b", "branch: one\n");
        ServiceCatalog catalog;
        load(catalog);
        const auto held = catalog.find("a");
        _folder->write("services.d/a.yaml", "name: a\n");
        service("b.yaml", "b", "branch: two\n");
        const std::string problems = load(catalog);
        CPPUNIT_ASSERT_EQUAL((_services / "a.yaml").string() + ":1: stages: is missing\n" +
                                 (_services / "a.yaml").string() +
                                 ": the service 'a' stays as it was last read\n",
                             problems);
        CPPUNIT_ASSERT(catalog.find("a") == held);
        CPPUNIT_ASSERT(catalog.refused("a").value().inUse);
        CPPUNIT_ASSERT_EQUAL(std::string("two"), catalog.find("b")->pipeline.branch);

        load(catalog); // still broken: still kept
        CPPUNIT_ASSERT(catalog.find("a") == held);
        service("a.yaml", "a", "branch: three\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("three"), catalog.find("a")->pipeline.branch);
        CPPUNIT_ASSERT_EQUAL(held->id, catalog.find("a")->id);
        CPPUNIT_ASSERT_EQUAL(std::string("one"), held->pipeline.branch);
    }

    void testRemovedFileRemovesItsService()
    {
        service("a.yaml", "a");
        service("b.yaml", "b");
        ServiceCatalog catalog;
        load(catalog);
        const auto held = catalog.find("a");
        std::filesystem::remove(_services / "a.yaml");
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("b "), names(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), held->name);
        std::filesystem::remove_all(_services);
        load(catalog);
        CPPUNIT_ASSERT(catalog.all().empty());
    }

    void testRenamedServiceReplacesTheOldOne()
    {
        service("a.yaml", "a");
        ServiceCatalog catalog;
        load(catalog);
        service("a.yaml", "b");
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog));
        CPPUNIT_ASSERT_EQUAL(std::string("b "), names(catalog));
    }

    void testNameTakenOverFromABrokenFile()
    {
        service("a.yaml", "a");
        ServiceCatalog catalog;
        load(catalog);
        _folder->write("services.d/a.yaml", "broken: [\n");
        service("b.yaml", "a");
        load(catalog);
        CPPUNIT_ASSERT_EQUAL(std::string("a "), names(catalog));
        CPPUNIT_ASSERT_EQUAL((_services / "b.yaml").string(), catalog.find("a")->file);
    }

    void testProblemsOfAFileAreCapped()
    {
        std::string text = "name: a\n";
        for (int i = 0; i < 200; ++i)
            text += "k" + std::to_string(i) + ": 1\n";
        _folder->write("services.d/a.yaml", text);
        service("b.yaml", "b");
        ServiceCatalog catalog;
        const auto problems = catalog.load(_services, _registry, idFor());
        CPPUNIT_ASSERT_EQUAL(std::size_t{51}, problems.size());
        CPPUNIT_ASSERT_EQUAL((_services / "a.yaml").string() + ": and 151 more problems",
                             problems.back().describe());
        CPPUNIT_ASSERT_EQUAL(std::string("b "), names(catalog));
    }

    void testSecretsThatNoStageCouldHaveAreRefused()
    {
        _folder->writePrivate("secrets/GOOD", "abcd");
        _folder->writePrivate("secrets/SHORT", "abc\n");
        _folder->writePrivate("secrets/EMPTY", "");
        std::filesystem::permissions(_folder->write("secrets/LOOSE", "abcd"),
                                     std::filesystem::perms(0640));
        std::filesystem::create_directories(_folder->path() / "secrets/FOLDER");
        std::filesystem::create_symlink("GOOD", _folder->path() / "secrets/LINK");
        service("a.yaml", "a", "secrets: [GOOD, NOT_THERE]\n");
        service("b.yaml", "b", "secrets: [GOOD,\n  SHORT, EMPTY, FOLDER, LINK, LOOSE]\n");
        ServiceCatalog catalog;
        const std::string problems = load(catalog, _folder->path() / "secrets");
        CPPUNIT_ASSERT_EQUAL(std::string("a "), names(catalog));
        for (const std::string wanted :
             {"b.yaml:3: secrets[1]: secret 'SHORT' (", "SHORT): shorter than 4 characters",
              "b.yaml:3: secrets[2]: ", "FOLDER): not a regular file",
              "LINK): is a symbolic link, and none is followed",
              "LOOSE): its mode 0640 lets others than its owner use it: chmod 0600 "})
            CPPUNIT_ASSERT_MESSAGE(problems, problems.find(wanted) != std::string::npos);
        CPPUNIT_ASSERT(problems.find("abc") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string(), load(catalog)); // nobody looks at secrets
    }

    void testFailingIdSourceChangesNothing()
    {
        service("a.yaml", "a");
        ServiceCatalog catalog;
        load(catalog);
        service("b.yaml", "b");
        const auto fails = [](const std::string&) -> std::string
        { throw std::runtime_error("no disk"); };
        CPPUNIT_ASSERT_THROW(catalog.load(_services, _registry, fails), std::runtime_error);
        CPPUNIT_ASSERT_EQUAL(std::string("a "), names(catalog));
    }

    void testReadersGoOnDuringReloads()
    {
        service("a.yaml", "a", "branch: x0\n");
        ServiceCatalog catalog;
        load(catalog);
        std::atomic<bool> stop{false};
        std::atomic<int> wrong{0};
        {
            const auto read = [&]
            {
                while (!stop)
                {
                    const auto found = catalog.find("a");
                    if (!found || !found->pipeline.branch.starts_with('x') ||
                        catalog.all().size() != 1)
                        ++wrong;
                }
            };
            const std::jthread one(read);
            const std::jthread two(read);
            for (int i = 0; i < 50; ++i)
            {
                service("a.yaml", "a", "branch: x" + std::to_string(i) + "\n");
                load(catalog);
            }
            stop = true;
        }
        CPPUNIT_ASSERT_EQUAL(0, wrong.load());
        CPPUNIT_ASSERT_EQUAL(std::string("x49"), catalog.find("a")->pipeline.branch);
    }

private:
    void service(const std::string& file, const std::string& name, const std::string& more = "")
    {
        _folder->write("services.d/" + file,
                       "name: " + name + "\n" + more + "stages: [{type: BUILD, plugin: p}]\n");
    }

    ServiceCatalog::IdFor idFor()
    {
        return [this](const std::string& name)
        {
            auto& id = _ids[name];
            if (id.empty())
                id = newId();
            return id;
        };
    }

    std::string load(ServiceCatalog& catalog, const std::filesystem::path& secrets = {})
    {
        std::string text;
        for (const Problem& problem : catalog.load(_services, _registry, idFor(), secrets))
            text += problem.describe() + '\n';
        return text;
    }

    static std::string names(const ServiceCatalog& catalog)
    {
        std::string text;
        for (const auto& service : catalog.all())
            text += service->name + ' ';
        return text;
    }

    std::unique_ptr<FilesFolder> _folder;
    PluginRegistry _registry;
    std::filesystem::path _services;
    std::map<std::string, std::string> _ids;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServiceCatalogTest);

} // namespace agent
