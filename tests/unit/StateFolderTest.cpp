#include "agent/run/StateFolder.h"
#include "agent/os/FileDescriptor.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fcntl.h>
#include <iostream>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

namespace
{

int flagsOf(const std::filesystem::path& folder)
{
    const agent::FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0;
    CPPUNIT_ASSERT_EQUAL(0, ::ioctl(opened.get(), FS_IOC_GETFLAGS, &flags));
    return flags;
}

bool isExt4(const std::filesystem::path& folder)
{
    struct statfs info = {};
    return ::statfs(folder.c_str(), &info) == 0 && info.f_type == EXT4_SUPER_MAGIC;
}

} // namespace

class StateFolderTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StateFolderTest);
    CPPUNIT_TEST(testRunsAreSpreadOverExt4);
    CPPUNIT_TEST_SUITE_END();

    agent::FilesFolder _folder;

    void testRunsAreSpreadOverExt4()
    {
        const agent::StateFolder state(_folder.path());
        if (!isExt4(_folder.path()))
        {
            std::cerr << " (skipped: the temporary folder is not on ext4)";
            return;
        }
        CPPUNIT_ASSERT((flagsOf(_folder.path() / "runs") & FS_TOPDIR_FL) != 0);
        // What is in it stands next to it.
        std::filesystem::create_directories(state.run("0123"));
        CPPUNIT_ASSERT_EQUAL(0, flagsOf(state.run("0123")) & FS_TOPDIR_FL);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StateFolderTest);
