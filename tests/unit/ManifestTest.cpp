#include "agent/plugin/Manifest.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

class ManifestTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ManifestTest);
    CPPUNIT_TEST(testReadsEveryKey);
    CPPUNIT_TEST(testReadsTheManifestsOfThisRepository);
    CPPUNIT_TEST(testReportsWrongFilesWithLineAndKey);
    CPPUNIT_TEST(testListsOfScalarsAreJoinedWhereAPluginWantsThemSo);
    CPPUNIT_TEST(testReportsAllProblemsOfAFile);
    CPPUNIT_TEST(testNameMustBeTheFolders);
    CPPUNIT_TEST(testDigestCoversAllFilesOfTheFolder);
    CPPUNIT_TEST(testRefusesLinksThatLeadOut);
    CPPUNIT_TEST(testTakesLinkWithinTheFolder);
    CPPUNIT_TEST(testRefusesWhatOthersCanWrite);
    CPPUNIT_TEST(testRefusesWhatIsNoFile);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _folder = std::make_unique<FilesFolder>(); }
    void tearDown() override { _folder.reset(); }

    void testReadsEveryKey()
    {
        const auto plugin = read("name: demo\nversion: 1.0\ndescription: d\ntypes: [BUILD, OTHER]\n"
                                 "settings:\n"
                                 "  s: {type: string, default: 5, description: text}\n"
                                 "  n: {type: number, required: true}\n"
                                 "  b: {type: boolean, default: false}\n"
                                 "  l: {type: list, default: [a, 1]}\n"
                                 "  m: {type: map}\n"
                                 "  r: {type: string, required: true, default_from: repository}\n"
                                 "run: [./go, '${PLUGIN_S}', 'x${PLUGIN_S}', '${NONE}', ./a/b]\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all());
        CPPUNIT_ASSERT_EQUAL(std::string("demo"), plugin->name);
        CPPUNIT_ASSERT_EQUAL(std::string("1.0"), plugin->version);
        CPPUNIT_ASSERT(plugin->types == std::vector({StageType::Build, StageType::Other}));
        CPPUNIT_ASSERT(plugin->kind == Plugin::Kind::Program);
        CPPUNIT_ASSERT_EQUAL(std::size_t{6}, plugin->settings.size());
        CPPUNIT_ASSERT(plugin->settings[0].byDefault == Setting({Setting::Kind::Number, "5"}));
        CPPUNIT_ASSERT(plugin->settings[1].required);
        CPPUNIT_ASSERT(plugin->settings[3].byDefault ==
                       Setting({Setting::Kind::List, "[\"a\",1]"}));
        CPPUNIT_ASSERT(plugin->settings[4].kind == Setting::Kind::Map);
        CPPUNIT_ASSERT_EQUAL(std::string("repository"), plugin->settings[5].defaultFrom);

        const std::string folder = (_folder->path() / "demo").string();
        const std::vector<std::string> argv{folder + "/go", "five; rm", "x${PLUGIN_S}", "",
                                            folder + "/a/b"};
        CPPUNIT_ASSERT(argv == plugin->argv({{"PLUGIN_S", "five; rm"}}));
    }

    void testReadsTheManifestsOfThisRepository()
    {
        for (const char* name : {"shell", "external", "notify"})
        {
            // A copy: who owns a checkout says nothing about a plugin.
            const auto file = _folder->path() / name / "plugin.yaml";
            std::filesystem::create_directories(file.parent_path());
            std::filesystem::copy_file(std::filesystem::path(STAGE_AGENT_SOURCE_DIR) / "plugins" /
                                           name / "plugin.yaml",
                                       file);
            ::chmod(file.c_str(), 0644);
            const auto plugin = readManifest(file.parent_path(), _problems);
            CPPUNIT_ASSERT_EQUAL(std::string(), all());
            CPPUNIT_ASSERT_EQUAL(std::string(name), plugin->name);
        }
    }

    void testListsOfScalarsAreJoinedWhereAPluginWantsThemSo()
    {
        using Kind = Setting::Kind;
        Plugin plugin;
        const Setting scalars{Kind::List, R"(["a b",1.50,true,"","ü"])"};
        const Setting nested{Kind::List, R"(["a",["b"]])"};
        const Setting map{Kind::Map, R"({"a":["b"]})"};
        CPPUNIT_ASSERT_EQUAL(scalars.text, plugin.value(scalars));
        plugin.commaLists = true;
        CPPUNIT_ASSERT_EQUAL(std::string("a b,1.50,true,,ü"), plugin.value(scalars));
        CPPUNIT_ASSERT_EQUAL(std::string(",x"), plugin.value({Kind::List, R"(["","x"])"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), plugin.value({Kind::List, "[]"}));
        CPPUNIT_ASSERT_EQUAL(nested.text, plugin.value(nested));
        CPPUNIT_ASSERT_EQUAL(map.text, plugin.value(map));
        CPPUNIT_ASSERT_EQUAL(std::string("[a]"), plugin.value({Kind::String, "[a]"}));
        check("name: demo\nrun: [a]\nlists: [comma]\n", "lists: expected text");
    }

    void testReportsWrongFilesWithLineAndKey()
    {
        const std::string start = "name: demo\n";
        const std::string run = "run: [a]\n";
        check(start, ":1: needs exactly one of run, library and external");
        check(start + run + "external: true\n",
              ":1: needs exactly one of run, library and external");
        check(start + "external: false\n", ":2: external: may only be true");
        check(start + "run: []\n", ":2: run: needs at least the program");
        check(start + "run: /bin/sh\n", ":2: run: expected a list, found the text '/bin/sh'");
        check(start + "run: [a, '']\n", ":2: run[1]: must not be empty");
        check(start + "run: [a, [b]]\n", ":2: run[1]: expected text, found a list");
        check(start + "library: ../a.so\n",
              ":2: library: must be the plain name of a .so file in the plugin's folder");
        check(start + "library: a.txt\n",
              ":2: library: must be the plain name of a .so file in the plugin's folder");
        check(start + "library: none.so\n", "none.so cannot be read: No such file or directory");
        check(run, ":1: name: is missing");
        check("name:\n" + run, ":1: name: expected text, found nothing");
        check("name: Demo\n" + run, ":1: name: must be 1 to 64 of a-z");
        check("name: demo2\n" + run, ":1: name: must be the folder's name, 'demo'");
        check(start + run + "decsription: x\n",
              ":3: decsription: unknown key, did you mean 'description'?");
        check(start + run + "types: [BULD]\n",
              ":3: types[0]: no stage type: 'BULD', did you mean 'BUILD'?");
        check(start + run + "types: BUILD\n", ":3: types: expected a list, found the text 'BUILD'");
        check(start + run + "version: [1]\n", ":3: version: expected text, found a list");
        check(start + run + "name: demo\n", ":3: name: this key is here twice");
        check(start + run + "settings: [a]\n", ":3: settings: expected a map, found a list");
        check(start + run + "lists: commas\n", ":3: lists: expected json or comma");
        check(start + "external: true\nlists: comma\n", ":3: lists: is for a plugin with run");
        check(setting("{}"), ":4: settings.s.type: is missing");
        check(setting("{type: text}"),
              ":4: settings.s.type: expected string, number, boolean, list or map, found 'text'");
        check(setting("{type: lsit}"), "found 'lsit', did you mean 'list'?");
        check(setting("{type: string, requierd: true}"),
              ":4: settings.s.requierd: unknown key, did you mean 'required'?");
        check(setting("{type: string, required: 'true'}"),
              ":4: settings.s.required: expected true or false, found the text 'true'");
        check(setting("{type: number, default: '5'}"),
              ":4: settings.s.default: expected a number, found the text '5'");
        check(setting("{type: string, default: [5]}"),
              ":4: settings.s.default: expected text, found a list");
        check(setting("{type: string, default: }"), ":4: settings.s.default: expected a value");
        check(setting("{type: string, required: true, default: a}"),
              ":4: settings.s.default: a required setting has no use for a default");
        check(setting("{type: string, default_from: branch}"),
              ":4: settings.s.default_from: expected repository or ref, found the text 'branch'");
        check(setting("{type: string, default_from: ref, default: a}"),
              ":4: settings.s.default_from: a setting has either default or default_from");
        check(setting("string"), ":4: settings.s: expected a map, found the text 'string'");
        check(setting("{type: map}\n  S: {type: list}"),
              ":5: settings.S: would be the same variable as 's': PLUGIN_S");
        check(setting("{type: map}\n  a b: {type: list}"),
              ":5: settings.a b: a setting's name must be");
        check("[a]", ":1: expected a map, found a list");
        check("name: 'x", ":1: malformed YAML: ");
        check("", ": holds nothing");
    }

    void testReportsAllProblemsOfAFile()
    {
        CPPUNIT_ASSERT(!read("name: [x]\nversion: {}\nrun: a\nsettings: {s: {type: x, y: z}}\n"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, _problems.size());
    }

    void testNameMustBeTheFolders()
    {
        _folder->write("other/plugin.yaml", "name: demo\nrun: [a]\n");
        CPPUNIT_ASSERT(!readManifest(_folder->path() / "other/", _problems));
        CPPUNIT_ASSERT(all().find("must be the folder's name, 'other'") != std::string::npos);
    }

    void testDigestCoversAllFilesOfTheFolder()
    {
        const auto program = read("name: demo\nrun: [a]\n");
        // printf 'name: demo\nrun: [a]\n' > plugin.yaml; find . -type f | sort | xargs sha256sum | sha256sum
        CPPUNIT_ASSERT_EQUAL(
            std::string("a43362260147dbbbfd5679fecf629a54867fd8ae695b6b11f615bd740e3667af"),
            program->sha256);
        _folder->write("demo/lib/b.sh", "echo b\n");
        _folder->write("demo/lib-a.sh", "echo a\n");
        CPPUNIT_ASSERT_EQUAL(
            std::string("31f0c41e3d31d0e8cfaf07d19c9afb92ff36c58b45259ae91c3ffdb8ad560bd7"),
            read("name: demo\nrun: [a]\n")->sha256);
        std::filesystem::create_symlink("lib-a.sh", _folder->path() / "demo/link");
        const auto linked = read("name: demo\nrun: [a]\n")->sha256;
        std::filesystem::remove(_folder->path() / "demo/link");
        std::filesystem::create_symlink("lib/b.sh", _folder->path() / "demo/link");
        CPPUNIT_ASSERT(linked != read("name: demo\nrun: [a]\n")->sha256);
        _folder->write("demo/demo.so", "one");
        const auto first = read("name: demo\nlibrary: demo.so\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all());
        CPPUNIT_ASSERT(first->kind == Plugin::Kind::Library);
        CPPUNIT_ASSERT_EQUAL((_folder->path() / "demo/demo.so").string(), first->library.string());
        _folder->write("demo/demo.so", "two");
        CPPUNIT_ASSERT(first->sha256 != read("name: demo\nlibrary: demo.so\n")->sha256);
    }

    void testRefusesLinksThatLeadOut()
    {
        const auto outside = _folder->write("outside", "name: demo\nrun: [a]\n");
        std::filesystem::create_directory(_folder->path() / "demo");
        std::filesystem::create_symlink(outside, _folder->path() / "demo/plugin.yaml");
        CPPUNIT_ASSERT(!readManifest(_folder->path() / "demo", _problems));
        CPPUNIT_ASSERT(all().find("demo/plugin.yaml is a link that leads out of") !=
                       std::string::npos);

        std::filesystem::remove(_folder->path() / "demo/plugin.yaml");
        std::filesystem::create_symlink(outside, _folder->path() / "demo/demo.so");
        check("name: demo\nlibrary: demo.so\n", "demo.so is a link that leads out of");
    }

    void testTakesLinkWithinTheFolder()
    {
        _folder->write("demo/demo.so.1", "x");
        std::filesystem::create_symlink("demo.so.1", _folder->path() / "demo/demo.so");
        CPPUNIT_ASSERT(read("name: demo\nlibrary: demo.so\n"));
        CPPUNIT_ASSERT_EQUAL(std::string(), all());
    }

    void testRefusesWhatOthersCanWrite()
    {
        const std::string text = "name: demo\nlibrary: demo.so\n";
        const auto library = _folder->write("demo/demo.so", "x");
        const auto manifest = _folder->write("demo/plugin.yaml", text);
        for (const auto& path : {library, manifest, manifest.parent_path()})
        {
            const mode_t mode = std::filesystem::is_directory(path) ? 0755 : 0644;
            ::chmod(path.c_str(), mode | 0002);
            _problems.clear();
            CPPUNIT_ASSERT(!readManifest(manifest.parent_path(), _problems));
            CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _problems.size());
            CPPUNIT_ASSERT(all().find(path.string() + " can be written by others than root and "
                                                      "the agent's user") != std::string::npos);
            ::chmod(path.c_str(), mode);
        }
        if (::geteuid() == 0)
        {
            constexpr uid_t stranger = 54321;
            CPPUNIT_ASSERT_EQUAL(0, ::chown(library.c_str(), stranger, 0));
            check(text, "demo.so belongs to user 54321, neither root nor the agent's own");
            CPPUNIT_ASSERT_EQUAL(0, ::chown(library.c_str(), 0, stranger));
            CPPUNIT_ASSERT(read(text));
            ::chmod(library.c_str(), 0664);
            check(text, "demo.so can be written by others");
            CPPUNIT_ASSERT_EQUAL(0, ::chown(library.c_str(), 0, 0));
        }
        ::chmod(library.c_str(), 0664); // of a group of one's own
        CPPUNIT_ASSERT(read(text));
    }

    void testRefusesWhatIsNoFile()
    {
        std::filesystem::create_directories(_folder->path() / "demo/demo.so");
        check("name: demo\nlibrary: demo.so\n", "demo.so is no regular file");
        std::filesystem::remove_all(_folder->path() / "demo");
        std::filesystem::create_directory(_folder->path() / "demo");
        _problems.clear();
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((_folder->path() / "demo/plugin.yaml").c_str(), 0600));
        CPPUNIT_ASSERT(!readManifest(_folder->path() / "demo", _problems));
        CPPUNIT_ASSERT(all().find("plugin.yaml is no regular file") != std::string::npos);
    }

private:
    std::optional<Plugin> read(const std::string& text)
    {
        _problems.clear();
        return readManifest(_folder->write("demo/plugin.yaml", text).parent_path(), _problems);
    }

    static std::string setting(const std::string& spec)
    {
        return "name: demo\nrun: [a]\nsettings:\n  s: " + spec + "\n";
    }

    /// The manifest is refused, and a problem of that file ends like this.
    void check(const std::string& text, const std::string& wanted)
    {
        CPPUNIT_ASSERT_MESSAGE(text, !read(text));
        const std::string file = (_folder->path() / "demo/plugin.yaml").string();
        CPPUNIT_ASSERT_MESSAGE(all(), all().find(file) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + all(),
                               all().find(wanted) != std::string::npos);
    }

    [[nodiscard]] std::string all() const
    {
        std::string text;
        for (const Problem& problem : _problems)
            text += problem.describe() + '\n';
        return text;
    }

    std::unique_ptr<FilesFolder> _folder;
    std::vector<Problem> _problems;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ManifestTest);

} // namespace agent
