#include "agent/plugin/PluginRegistry.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <memory>
#include <sys/stat.h>

namespace agent
{

class PluginRegistryTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PluginRegistryTest);
    CPPUNIT_TEST(testLoadsRightPluginsBesideWrongOnes);
    CPPUNIT_TEST(testMissingFolderIsNoProblem);
    CPPUNIT_TEST(testReportsSecondPluginOfAName);
    CPPUNIT_TEST(testRefusesLinkedFolderAndWritableRoot);
    CPPUNIT_TEST(testAcceptsRightSettings);
    CPPUNIT_TEST(testReportsWrongSettings);
    CPPUNIT_TEST(testReportsMissingPluginAndUnsuitedType);
    CPPUNIT_TEST(testNamesVariables);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _folder = std::make_unique<FilesFolder>();
        _folder->write("plugins/demo/plugin.yaml",
                       "name: demo\ntypes: [BUILD]\nrun: [a]\n"
                       "settings:\n"
                       "  text: {type: string, required: true}\n"
                       "  count: {type: number, default: 5}\n"
                       "  flag: {type: boolean}\n"
                       "  items: {type: list}\n"
                       "  table: {type: map}\n"
                       "  place: {type: string, required: true, default_from: repository}\n");
        _folder->write("plugins/hook/plugin.yaml", "name: hook\nexternal: true\n");
        _root = _folder->path() / "plugins";
        ::chmod(_root.c_str(), 0755);
    }

    void tearDown() override { _folder.reset(); }

    void testLoadsRightPluginsBesideWrongOnes()
    {
        _folder->write("plugins/bad/plugin.yaml", "name: bad\nrun: [a]\nrum: 1\n");
        _folder->write("plugins/nothing/README", "x");
        _folder->write("plugins/file", "x");
        PluginRegistry registry = load();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry.all().size());
        CPPUNIT_ASSERT(registry.find("hook")->kind == Plugin::Kind::External);
        CPPUNIT_ASSERT(registry.find("bad") == nullptr);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _problems.size());
        CPPUNIT_ASSERT_EQUAL((_root / "bad/plugin.yaml").string() +
                                 ":3: rum: unknown key, did you mean 'run'?",
                             _problems[0].describe());
    }

    void testMissingFolderIsNoProblem()
    {
        PluginRegistry registry;
        registry.load(_root / "none", _problems);
        CPPUNIT_ASSERT(_problems.empty());
        registry.load(_folder->write("file", "x"), _problems);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _problems.size());
        CPPUNIT_ASSERT(registry.all().empty());
    }

    void testReportsSecondPluginOfAName()
    {
        PluginRegistry registry = load();
        _folder->write("more/demo/plugin.yaml", "name: demo\nexternal: true\n");
        ::chmod((_folder->path() / "more").c_str(), 0755);
        registry.load(_folder->path() / "more", _problems);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _problems.size());
        CPPUNIT_ASSERT_EQUAL("a plugin named 'demo' is already loaded from " +
                                 (_root / "demo").string(),
                             _problems[0].message);
        CPPUNIT_ASSERT(registry.find("demo")->kind == Plugin::Kind::Program);
    }

    void testRefusesLinkedFolderAndWritableRoot()
    {
        _folder->write("outside/evil/plugin.yaml", "name: evil\nrun: [a]\n");
        std::filesystem::create_symlink(_folder->path() / "outside/evil", _root / "evil");
        std::filesystem::create_symlink("demo", _root / "dem0");
        PluginRegistry registry = load();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry.all().size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, _problems.size());
        CPPUNIT_ASSERT_EQUAL(std::string("name: must be the folder's name, 'dem0'"),
                             _problems[0].key + ": " + _problems[0].message);
        CPPUNIT_ASSERT_EQUAL((_root / "evil").string() + ": is a link that leads out of " +
                                 _root.string(),
                             _problems[1].describe());

        ::chmod(_root.c_str(), 0777);
        CPPUNIT_ASSERT(load().all().empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _problems.size());
    }

    void testAcceptsRightSettings()
    {
        using Kind = Setting::Kind;
        const PluginRegistry registry = load();
        for (const Setting& text : {Setting{Kind::String, "x"}, Setting{Kind::Number, "1"},
                                    Setting{Kind::Boolean, "true"}})
        {
            const StageSpec stage = spec({{"text", text},
                                          {"count", {Kind::Number, "1.5"}},
                                          {"flag", {Kind::Boolean, "false"}},
                                          {"items", {Kind::List, "[]"}},
                                          {"table", {Kind::Map, "{}"}}});
            CPPUNIT_ASSERT(registry.check(stage, "stages[0]").empty());
        }
    }

    void testReportsWrongSettings()
    {
        using Kind = Setting::Kind;
        const PluginRegistry registry = load();
        const auto problems = registry.check(spec({{"count", {Kind::String, "1"}},
                                                   {"flag", {Kind::String, "true"}},
                                                   {"items", {Kind::Map, "{}"}},
                                                   {"table", {Kind::String, "{}"}},
                                                   {"place", {Kind::List, "[]"}},
                                                   {"coutn", {Kind::Number, "1"}}}),
                                             "stages[3]");
        const std::vector<std::string> expected{
            "stages[3].with.text: the plugin 'demo' requires it",
            "stages[3].with.count: expected a number, found text",
            "stages[3].with.flag: expected true or false, found text",
            "stages[3].with.items: expected a list, found a map",
            "stages[3].with.table: expected a map, found text",
            "stages[3].with.place: expected text, found a list",
            "stages[3].with.coutn: the plugin 'demo' has no such setting, did you mean 'count'?"};
        CPPUNIT_ASSERT_EQUAL(expected.size(), problems.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            CPPUNIT_ASSERT_EQUAL(expected[i], problems[i].describe());
    }

    void testReportsMissingPluginAndUnsuitedType()
    {
        const PluginRegistry registry = load();
        StageSpec stage = spec({{"text", {Setting::Kind::String, "x"}}});
        stage.type = StageType::Prepare;
        CPPUNIT_ASSERT_EQUAL(std::string("stages[0].type: the plugin 'demo' does not suit PREPARE"),
                             registry.check(stage, "stages[0]").at(0).describe());
        stage.plugin = "demmo";
        CPPUNIT_ASSERT_EQUAL(
            std::string("stages[0].plugin: there is no plugin 'demmo', did you mean 'demo'?"),
            registry.check(stage, "stages[0]").at(0).describe());
        stage.plugin = "hook"; // suits all types, takes no settings
        CPPUNIT_ASSERT_EQUAL(
            std::string("stages[0].with.text: the plugin 'hook' has no such setting"),
            registry.check(stage, "stages[0]").at(0).describe());
    }

    void testNamesVariables()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_COMMAND"), PluginRegistry::variable("command"));
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_A_B_9_C"), PluginRegistry::variable("a-b.9_c"));
    }

private:
    PluginRegistry load()
    {
        _problems.clear();
        PluginRegistry registry;
        registry.load(_root, _problems);
        return registry;
    }

    static StageSpec spec(const std::map<std::string, Setting>& with)
    {
        StageSpec stage;
        stage.type = StageType::Build;
        stage.plugin = "demo";
        stage.with = with;
        return stage;
    }

    std::unique_ptr<FilesFolder> _folder;
    std::filesystem::path _root;
    std::vector<Problem> _problems;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PluginRegistryTest);

} // namespace agent
