#include "agent/os/RegularFile.h"
#include "agent/os/Files.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace agent
{

namespace fs = std::filesystem;

class RegularFileTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RegularFileTest);
    CPPUNIT_TEST(testReadsAFile);
    CPPUNIT_TEST(testAMissingFileIsNone);
    CPPUNIT_TEST(testWhatIsNoRegularFileIsDamaged);
    CPPUNIT_TEST(testASymlinkAboveIsNotFollowed);
    CPPUNIT_TEST(testAFileThatIsTooLargeIsDamaged);
    CPPUNIT_TEST(testANewFileTakesThePlaceOfWhateverIsThere);
    CPPUNIT_TEST(testNoNewFileIsMadeBehindASymlinkAbove);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsAFile()
    {
        const std::string file = _folder.write("below/file", "some text");
        CPPUNIT_ASSERT_EQUAL(std::string("some text"), readRegularFile(file, 9).value());
        CPPUNIT_ASSERT_EQUAL(std::string(), readRegularFile(_folder.write("empty", ""), 0).value());
        char buffer[5] = {};
        const RegularFile opened = RegularFile::open(file).value();
        CPPUNIT_ASSERT_EQUAL(std::size_t(4), opened.read(5, buffer, sizeof buffer));
        CPPUNIT_ASSERT_EQUAL(std::string("text"), std::string(buffer));
        const FileDescriptor at(::open(_folder.path().c_str(), O_PATH | O_CLOEXEC));
        CPPUNIT_ASSERT(RegularFile::openAt(at.get(), "below/file").has_value());
    }

    void testAMissingFileIsNone()
    {
        CPPUNIT_ASSERT(!readRegularFile(_folder.path() / "none", 10));
        CPPUNIT_ASSERT(!readRegularFile(_folder.path() / "none/file", 10));
        CPPUNIT_ASSERT(!readRegularFile(_folder.write("file", "x") / "below", 10));
    }

    /// Symptom: `mkfifo order.json` by a stage stopped the engine for ever, `ln -s /dev/zero order.json` took the
    /// memory of the host. Bound: neither is opened for reading at all.
    void testWhatIsNoRegularFileIsDamaged()
    {
        const fs::path pipe = _folder.path() / "pipe";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        const fs::path link = _folder.path() / "link";
        fs::create_symlink("/dev/zero", link);
        const fs::path gone = _folder.path() / "gone";
        fs::create_symlink("nowhere", gone);
        const fs::path local = _folder.path() / "socket";
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, local.c_str(), sizeof address.sun_path - 1);
        const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CPPUNIT_ASSERT_EQUAL(
            0, ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
        for (const fs::path& file : {pipe, link, gone, local, _folder.path(), fs::path("/dev/null"),
                                     fs::path("/dev/zero")})
            CPPUNIT_ASSERT_THROW_MESSAGE(file.string(), readRegularFile(file, 10), DamagedFile);
    }

    void testASymlinkAboveIsNotFollowed()
    {
        _folder.write("real/file", "x");
        fs::create_directory_symlink("real", _folder.path() / "link");
        CPPUNIT_ASSERT_THROW(readRegularFile(_folder.path() / "link/file", 10), DamagedFile);
        CPPUNIT_ASSERT_THROW(readRegularFile(_folder.path() / "link/none", 10), DamagedFile);
    }

    void testAFileThatIsTooLargeIsDamaged()
    {
        const fs::path file = _folder.write("file", "0123456789");
        CPPUNIT_ASSERT_THROW(readRegularFile(file, 9), DamagedFile);
        fs::resize_file(file, std::uintmax_t{1} << 40); // a terabyte without a block
        CPPUNIT_ASSERT_THROW(readRegularFile(file, 16 << 20), DamagedFile);
    }

    void testANewFileTakesThePlaceOfWhateverIsThere()
    {
        const fs::path precious = _folder.write("precious", "mine");
        const fs::path pipe = _folder.path() / "pipe";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        const fs::path link = _folder.path() / "link";
        fs::create_symlink(precious, link);
        const fs::path file = _folder.write("file", "old");
        for (const fs::path& place : {pipe, link, file, _folder.path() / "new"})
        {
            const FileDescriptor made = createFile(place, O_WRONLY);
            CPPUNIT_ASSERT_MESSAGE(place.string(), writeAll(made.get(), "text"));
            CPPUNIT_ASSERT_EQUAL(std::string("text"), readRegularFile(place, 10).value());
        }
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), readRegularFile(precious, 10).value());
        fs::create_directory(_folder.path() / "folder");
        CPPUNIT_ASSERT(!createFile(_folder.path() / "folder", O_WRONLY).valid());
    }

    /// A stage may put a symlink in place of its attempt's folder while its shim or the daemon makes a file there.
    void testNoNewFileIsMadeBehindASymlinkAbove()
    {
        const fs::path real = _folder.path() / "real";
        fs::create_directory(real);
        _folder.write("real/precious", "mine");
        fs::create_directory_symlink(real, _folder.path() / "link");
        for (const char* name : {"new", "precious"})
            CPPUNIT_ASSERT(!createFile(_folder.path() / "link" / name, O_WRONLY).valid());
        CPPUNIT_ASSERT(!fs::exists(real / "new"));
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), readRegularFile(real / "precious", 10).value());
    }

private:
    FilesFolder _folder;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RegularFileTest);

} // namespace agent
