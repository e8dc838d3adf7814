#include "agent/run/SecretFolder.h"

#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

/// Values of secrets, and those that they had before: docs/secrets.md, "Rotation".
class SecretFolderTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SecretFolderTest);
    CPPUNIT_TEST(testAStageGetsItsOwnAndMasksAll);
    CPPUNIT_TEST(testAnEarlierValueStaysMasked);
    CPPUNIT_TEST(testCopiesRememberTogether);
    CPPUNIT_TEST(testOfManyValuesTheLastAreRemembered);
    CPPUNIT_TEST(testAValueThatComesBackIsTheNewest);
    CPPUNIT_TEST(testWhatCannotBeReadFailsOnlyWhoNamesIt);
    CPPUNIT_TEST(testMemoryOutlivesTheDaemon);
    CPPUNIT_TEST(testATornMemoryIsReadAsFarAsItGoes);
    CPPUNIT_TEST(testMemoryDoesNotGrowForEver);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAStageGetsItsOwnAndMasksAll()
    {
        write("ONE", "first-value");
        write("TWO", "second-value");
        const SecretFolder folder(_files.path());
        const Secrets secrets = folder.ofStage({"ONE"}, {"ONE", "TWO"});
        CPPUNIT_ASSERT((secrets == Secrets{{"ONE", "first-value"}, {"", "second-value"}}));
        CPPUNIT_ASSERT((folder.ofStage({}, {}).empty()));
    }

    void testAnEarlierValueStaysMasked()
    {
        write("ONE", "first-value");
        const SecretFolder folder(_files.path());
        (void)folder.ofStage({"ONE"}, {"ONE"});
        write("ONE", "newer-value");
        CPPUNIT_ASSERT((folder.ofStage({"ONE"}, {"ONE"}) ==
                        Secrets{{"ONE", "newer-value"}, {"", "first-value"}}));
        CPPUNIT_ASSERT_EQUAL(
            std::string("*** and ***, not third-value"),
            masked("first-value and newer-value, not third-value", {"ONE"}, folder));
        CPPUNIT_ASSERT_EQUAL(std::string("first-value"), masked("first-value", {"TWO"}, folder));
        std::filesystem::remove(_files.path() / "ONE");
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("first-value", {"ONE"}, folder));
    }

    void testCopiesRememberTogether()
    {
        write("ONE", "first-value");
        const SecretFolder folder(_files.path());
        const SecretFolder copy = folder;
        (void)copy.ofStage({"ONE"}, {});
        write("ONE", "newer-value");
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("first-value", {"ONE"}, folder));
        CPPUNIT_ASSERT_EQUAL(std::string("first-value"),
                             masked("first-value", {"ONE"}, SecretFolder(_files.path())));
    }

    void testOfManyValuesTheLastAreRemembered()
    {
        const SecretFolder folder(_files.path());
        for (int i = 0; i < 40; ++i)
        {
            write("ONE", "value-number-" + std::to_string(i));
            (void)folder.ofStage({"ONE"}, {});
        }
        CPPUNIT_ASSERT_EQUAL(SecretFolder::mostValues, folder.values({"ONE"}).size());
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("value-number-24", {"ONE"}, folder));
        CPPUNIT_ASSERT_EQUAL(std::string("value-number-2."),
                             masked("value-number-2.", {"ONE"}, folder));
    }

    void testAValueThatComesBackIsTheNewest()
    {
        const FileDescriptor memory = newMemory();
        const SecretFolder folder(_files.path());
        folder.rememberIn(SecretMemory(copyOf(memory)));
        const auto give = [&](int number)
        {
            write("ONE", "value-number-" + std::to_string(number));
            (void)folder.ofStage({"ONE"}, {});
        };
        for (int i = 10; i < 26; ++i)
            give(i);
        give(10);
        for (int i = 30; i < 45; ++i)
            give(i);
        CPPUNIT_ASSERT_EQUAL(std::string("*** value-number-25"),
                             masked("value-number-10 value-number-25", {"ONE"}, folder));
        const SecretFolder next(_files.path());
        next.rememberIn(SecretMemory(copyOf(memory)));
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("value-number-10", {"ONE"}, next));
    }

    void testWhatCannotBeReadFailsOnlyWhoNamesIt()
    {
        write("ONE", "first-value");
        const SecretFolder folder(_files.path());
        CPPUNIT_ASSERT(
            (folder.ofStage({"ONE"}, {"ONE", "GONE"}) == Secrets{{"ONE", "first-value"}}));
        CPPUNIT_ASSERT_THROW(folder.ofStage({"GONE"}, {"ONE"}), std::runtime_error);
        ::chmod((_files.path() / "ONE").c_str(), 0644);
        CPPUNIT_ASSERT_THROW(folder.ofStage({"ONE"}, {}), std::runtime_error);
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("first-value", {"ONE"}, folder));
    }

    void testMemoryOutlivesTheDaemon()
    {
        const FileDescriptor memory = newMemory();
        write("ONE", "first-value");
        write("TWO", "second-value");
        {
            const SecretFolder folder(_files.path());
            folder.rememberIn(SecretMemory(copyOf(memory)));
            (void)folder.ofStage({"ONE"}, {"TWO"});
            write("ONE", "newer-value");
            (void)folder.ofStage({"ONE"}, {"TWO"});
        }
        write("ONE", "third-value");
        const SecretFolder next(_files.path());
        next.rememberIn(SecretMemory(copyOf(memory)));
        CPPUNIT_ASSERT_EQUAL(std::string("*** *** ***"),
                             masked("first-value newer-value third-value", {"ONE"}, next));
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("second-value", {"TWO"}, next));
    }

    void testATornMemoryIsReadAsFarAsItGoes()
    {
        const FileDescriptor memory = newMemory();
        const std::string text("ONE\0first-value\0ONE\0newer-val", 29);
        CPPUNIT_ASSERT_EQUAL(ssize_t(29), ::write(memory.get(), text.data(), text.size()));
        const SecretFolder folder(_files.path());
        folder.rememberIn(SecretMemory(copyOf(memory)));
        CPPUNIT_ASSERT_EQUAL(std::string("***"), masked("first-value", {"ONE"}, folder));
        write("ONE", "third-value");
        (void)folder.ofStage({"ONE"}, {});
        const SecretFolder next(_files.path());
        next.rememberIn(SecretMemory(copyOf(memory)));
        std::filesystem::remove(_files.path() / "ONE");
        CPPUNIT_ASSERT_EQUAL(std::string("*** *** newer-val"),
                             masked("first-value third-value newer-val", {"ONE"}, next));
    }

    void testMemoryDoesNotGrowForEver()
    {
        const FileDescriptor memory = newMemory();
        const SecretFolder folder(_files.path());
        folder.rememberIn(SecretMemory(copyOf(memory)));
        for (int i = 0; i < 150; ++i)
        {
            write("ONE", std::to_string(i) + std::string(60'000, 'x'));
            (void)folder.ofStage({"ONE"}, {});
        }
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::fstat(memory.get(), &info));
        CPPUNIT_ASSERT(info.st_size < 5 << 20);
        const SecretFolder next(_files.path());
        next.rememberIn(SecretMemory(copyOf(memory)));
        CPPUNIT_ASSERT_EQUAL(SecretFolder::mostValues, next.values({"ONE"}).size());
    }

private:
    void write(const std::string& name, const std::string& value)
    {
        _files.write(name, value + "\n");
        ::chmod((_files.path() / name).c_str(), 0600);
    }

    static FileDescriptor newMemory()
    {
        return FileDescriptor(::memfd_create("test", MFD_CLOEXEC));
    }

    static FileDescriptor copyOf(const FileDescriptor& file)
    {
        return FileDescriptor(::dup(file.get()));
    }

    FilesFolder _files;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretFolderTest);

} // namespace agent
