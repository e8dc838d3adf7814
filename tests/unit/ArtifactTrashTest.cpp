// A set of artifacts goes with the contents that no other set has, and with those only.
#include "agent/run/ArtifactTrash.h"
#include "agent/collect/Collector.h"
#include "agent/collect/ContentStore.h"
#include "tests/support/Artifacts.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <fcntl.h>
#include <memory>
#include <thread>

namespace agent
{

namespace fs = std::filesystem;

class ArtifactTrashTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ArtifactTrashTest);
    CPPUNIT_TEST(testContentsGoWithTheLastSetThatHasThem);
    CPPUNIT_TEST(testAllSetsOfARunGo);
    CPPUNIT_TEST(testTwoThatStoreTheSameAtOnceShareIt);
    CPPUNIT_TEST(testWhatIsNotThereIsNoError);
    CPPUNIT_TEST(testARemovalThatWasCutShortGoesOn);
    CPPUNIT_TEST(testAContentOfAnotherInodeStays);
    CPPUNIT_TEST(testNothingIsLostBetweenCollectingAndRemoving);
    CPPUNIT_TEST_SUITE_END();

public:
    void testContentsGoWithTheLastSetThatHasThem()
    {
        collect("run1", {{"a", "shared"}, {"b", "only 1"}});
        collect("run2", {{"a", "shared"}, {"c", "only 2"}});
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, test::contentsIn(store()).size());
        remove("artifacts/sets/run1/stage.1");
        const auto left = test::contentsIn(store());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, left.size());
        CPPUNIT_ASSERT(left.contains(test::sha256Of("shared")));
        CPPUNIT_ASSERT(left.contains(test::sha256Of("only 2")));
        remove("artifacts/sets/run2/stage.1");
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, test::contentsIn(store()).size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, test::filesBelow(store())); // the lock
    }

    void testAllSetsOfARunGo()
    {
        collect("run", {{"a", "1"}}, 1);
        collect("run", {{"a", "1"}, {"b", "2"}}, 2);
        remove("artifacts/sets/run");
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, test::contentsIn(store()).size());
        CPPUNIT_ASSERT(fs::is_empty(store() / "sets"));
        CPPUNIT_ASSERT(fs::is_empty(store() / "trash"));
    }

    /// Symptom: a file of a kept set is gone, its set removed by nobody. Cause: two attempts stored the same content at the
    /// same time, each in a file of its own, and only one of these had the name, which went with its set.
    void testTwoThatStoreTheSameAtOnceShareIt()
    {
        const auto file = RegularFile::open(_files.write("a", "same").string());
        const auto large =
            RegularFile::open(_files.write("b", std::string(3'000'000, 'x')).string());
        std::vector<std::unique_ptr<ContentStore>> stores;
        for (const char* run : {"run1", "run2"})
        {
            stores.push_back(std::make_unique<ContentStore>(store().string(), run, "stage.1"));
            stores.back()->add(*file, 4, 4);
            stores.back()->add(*large, 3'000'000, 3'000'000);
        }
        for (const auto& one : stores)
            one->publish();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, test::contentsIn(store()).size());
        remove("artifacts/sets/run1/stage.1");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, test::contentsIn(store()).size());
        remove("artifacts/sets/run2/stage.1");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, test::filesBelow(store()));
    }

    void testWhatIsNotThereIsNoError()
    {
        const ArtifactTrash trash(_state.get());
        CPPUNIT_ASSERT(!trash.take("artifacts/sets/run/stage.1"));
        CPPUNIT_ASSERT_EQUAL(ENOENT, errno);
        CPPUNIT_ASSERT(trash.empty({}).empty());
    }

    /// As a crash leaves it: taken, and half of its links gone, each with the content's name before it.
    void testARemovalThatWasCutShortGoesOn()
    {
        collect("run", {{"a", "1"}, {"b", "2"}, {"c", "3"}});
        CPPUNIT_ASSERT(ArtifactTrash(_state.get()).take("artifacts/sets/run/stage.1"));
        fs::remove(test::objectOf(store(), test::sha256Of("1")));
        CPPUNIT_ASSERT(ArtifactTrash(_state.get()).empty({}).empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, test::filesBelow(store()));
    }

    /// Of a content that has no links left on its file system, another copy has the name.
    void testAContentOfAnotherInodeStays()
    {
        collect("run", {{"a", "1"}});
        const auto object = test::objectOf(store(), test::sha256Of("1"));
        fs::remove(object);
        _files.write("artifacts/objects/" + object.parent_path().filename().string() + "/" +
                         object.filename().string(),
                     "1");
        remove("artifacts/sets/run/stage.1");
        CPPUNIT_ASSERT(fs::exists(object));
    }

    /// The same contents are collected and removed at the same time: each set that is there has all of its contents.
    void testNothingIsLostBetweenCollectingAndRemoving()
    {
        std::atomic<int> finished = 0; // the last set that is whole, and may go
        std::atomic<bool> done = false;
        std::thread remover(
            [&]
            {
                const ArtifactTrash trash(_state.get());
                for (int i = 1; !done;)
                {
                    for (; i <= finished; ++i)
                        (void)trash.take("artifacts/sets/run/stage." + std::to_string(i));
                    (void)trash.empty({});
                }
            });
        std::string lost;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
        try
        {
            while (lost.empty() && std::chrono::steady_clock::now() < end)
            {
                collect("run", {{"a", "1"}, {"b", "2"}}, finished + 1);
                ++finished;
                // This one is not removed, and shares all contents with those that are.
                collect("other", {{"a", "1"}, {"b", "2"}}, 1);
                for (const char* content : {"1", "2"})
                    if (!fs::exists(test::objectOf(store(), test::sha256Of(content))))
                        lost = content;
            }
        }
        catch (const CppUnit::Exception& failure)
        {
            lost = failure.what();
        }
        done = true;
        remover.join();
        CPPUNIT_ASSERT_EQUAL(std::string(), lost);
    }

private:
    [[nodiscard]] fs::path store() const { return _files.path() / "artifacts"; }

    /// As stage-collector does for an attempt of the stage `stage`.
    void collect(const std::string& run, const std::map<std::string, std::string>& files,
                 int attempt = 1) const
    {
        const fs::path workspace = _files.path() / "ws";
        fs::remove_all(workspace);
        for (const auto& [name, text] : files)
            _files.write("ws/" + name, text);
        Order order;
        order.runId = run;
        order.stageId = "stage";
        order.attempt = attempt;
        order.cwd = workspace.string();
        order.collect = CollectOrder{.store = store().string(), .name = "dist", .paths = {"**"}};
        const Collected collected = Collector(order, _files.path().string(), true).run();
        CPPUNIT_ASSERT_EQUAL(std::string(), collected.problem);
        CPPUNIT_ASSERT_EQUAL(static_cast<std::int64_t>(files.size()), collected.artifacts->files);
    }

    void remove(const std::string& folder) const
    {
        const ArtifactTrash trash(_state.get());
        CPPUNIT_ASSERT(trash.take(folder));
        CPPUNIT_ASSERT(trash.empty({}).empty());
        CPPUNIT_ASSERT(!fs::exists(_files.path() / folder));
    }

    const FilesFolder _files;
    const FileDescriptor _state{::open(_files.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactTrashTest);

} // namespace agent
