#include "agent/store/ArtifactArchive.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/StoredArtifacts.h"
#include "tests/support/Unpacked.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <iterator>
#include <random>

#include <sys/stat.h>

using agent::Artifact;
using agent::ArtifactArchive;
using agent::ArtifactContents;
using agent::ArtifactManifest;

/// What of the artifacts of an attempt is read: manifest, contents, and all of them as an archive.
class ArtifactsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ArtifactsTest);
    CPPUNIT_TEST(testAManifestGivesItsFilesInOrder);
    CPPUNIT_TEST(testFindsOneOfManyByItsWholePath);
    CPPUNIT_TEST(testBelievesNoManifestOfAnotherDigest);
    CPPUNIT_TEST(testRefusesPathsThatLeadAway);
    CPPUNIT_TEST(testAContentOfAnotherSizeIsNone);
    CPPUNIT_TEST(testAnArchiveExtractsToWhatWasKept);
    CPPUNIT_TEST(testAnArchiveIsMadeInSmallPieces);
    CPPUNIT_TEST(testAnArchiveWithoutAContentBreaksOff);
    CPPUNIT_TEST(testAnArchiveWithADamagedContentBreaksOff);
    CPPUNIT_TEST_SUITE_END();

    agent::FilesFolder _folder;
    agent::StoredArtifacts _kept{.root = _folder.path() / "artifacts",
                                 .attempt = _folder.path() / "attempt"};

    ArtifactManifest kept(const std::map<std::string, std::string>& files)
    {
        auto manifest = ArtifactManifest::open(_kept.attempt, _kept.keep(files));
        CPPUNIT_ASSERT(manifest.has_value());
        return std::move(*manifest);
    }

    std::string archive(ArtifactManifest manifest, std::size_t& largest)
    {
        std::vector<agent::ArchivedSet> sets;
        sets.push_back(
            {.folder = "dist", .manifest = std::move(manifest), .writtenAt = 1'700'000'000'000});
        ArtifactArchive made(ArtifactContents(_kept.root), std::move(sets));
        std::string all;
        for (bool more = true; more;)
        {
            std::string page;
            more = made.next(page);
            largest = std::max(largest, page.size());
            all += page;
        }
        return all;
    }

    void breaksOff(ArtifactManifest manifest, const std::string& why)
    {
        std::size_t largest = 0;
        try
        {
            archive(std::move(manifest), largest);
            CPPUNIT_FAIL("it was made");
        }
        catch (const std::runtime_error& error)
        {
            CPPUNIT_ASSERT_EQUAL(why, std::string(error.what()));
        }
    }

    static std::string noise(std::size_t size)
    {
        std::mt19937 random(17);
        std::string bytes(size, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(random());
        return bytes;
    }

public:
    void testAManifestGivesItsFilesInOrder()
    {
        auto manifest = kept({{"b", "2"}, {"a/x", "11"}, {"line\nend \"\\", ""}});
        CPPUNIT_ASSERT_EQUAL(std::string("dist"), manifest.name());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), manifest.files());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3), manifest.bytes());
        const auto first = manifest.next();
        CPPUNIT_ASSERT_EQUAL(std::string("a/x"), first->path);
        CPPUNIT_ASSERT_EQUAL(0644U, first->mode);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), first->size);
        CPPUNIT_ASSERT_EQUAL(agent::StoredArtifacts::sha256("11"), first->sha256);
        CPPUNIT_ASSERT_EQUAL(std::string("b"), manifest.next()->path);
        CPPUNIT_ASSERT_EQUAL(std::string("line\nend \"\\"), manifest.next()->path);
        CPPUNIT_ASSERT(!manifest.next());
    }

    void testFindsOneOfManyByItsWholePath()
    {
        std::map<std::string, std::string> files;
        for (int i = 0; i < 3'000; ++i)
            files["some/folder/with/a/name/file-" + std::to_string(i)] = std::to_string(i % 7);
        const std::string digest = _kept.keep(files);
        const auto find = [&](const std::string& path)
        { return ArtifactManifest::open(_kept.attempt, digest)->find(path); };
        CPPUNIT_ASSERT_EQUAL(agent::StoredArtifacts::sha256("3"),
                             find("some/folder/with/a/name/file-2999")->sha256);
        CPPUNIT_ASSERT(find("some/folder/with/a/name/file-0").has_value());
        CPPUNIT_ASSERT(!find("some/folder/with/a/name/file-"));
        CPPUNIT_ASSERT(!find("some/folder/with/a/name"));
        CPPUNIT_ASSERT(!find(""));
    }

    void testBelievesNoManifestOfAnotherDigest()
    {
        const std::string digest = _kept.keep({{"a", "1"}});
        CPPUNIT_ASSERT(ArtifactManifest::open(_kept.attempt, digest).has_value());
        CPPUNIT_ASSERT(!ArtifactManifest::open(_kept.attempt, ""));
        CPPUNIT_ASSERT(!ArtifactManifest::open(_folder.path(), digest));
        std::ofstream(_kept.attempt / "artifacts.jsonl", std::ios::app) << "\n";
        CPPUNIT_ASSERT(!ArtifactManifest::open(_kept.attempt, digest));
        std::filesystem::remove(_kept.attempt / "artifacts.jsonl");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((_kept.attempt / "artifacts.jsonl").c_str(), 0600));
        CPPUNIT_ASSERT(!ArtifactManifest::open(_kept.attempt, digest));
    }

    void testRefusesPathsThatLeadAway()
    {
        for (const char* path : {"../a", "a/../b", "/etc/passwd", "a//b", "./a", ""})
        {
            auto manifest = kept({{path, "x"}});
            CPPUNIT_ASSERT_THROW_MESSAGE(path, manifest.next(), std::runtime_error);
        }
    }

    void testAContentOfAnotherSizeIsNone()
    {
        _kept.keep({{"a", "123"}});
        const std::string digest = agent::StoredArtifacts::sha256("123");
        const ArtifactContents contents(_kept.root);
        CPPUNIT_ASSERT(contents.open(digest, 3).has_value());
        CPPUNIT_ASSERT(!contents.open(digest, 4));
        CPPUNIT_ASSERT(!contents.open(std::string(64, '0'), 3));
        CPPUNIT_ASSERT(!contents.open("../../etc/passwd", 3));
        std::filesystem::remove(_kept.content(digest));
        std::filesystem::create_symlink("/etc/passwd", _kept.content(digest));
        CPPUNIT_ASSERT(!contents.open(digest, 3));
    }

    void testAnArchiveExtractsToWhatWasKept()
    {
        _kept.mode = 0751;
        const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'e') + "/file";
        const std::map<std::string, std::string> files{
            {"empty", ""},
            {"one", "1"},
            {"block", std::string(512, 'b')},
            {"over", std::string(513, 'o')},
            {"ünïcode/日本", "text"},
            {"line\nend", "x"},
            {deep, "deep"},
            {"noise", noise(1'000'000)},
            {"zeros", std::string(5'000'000, '\0')},
        };
        std::size_t largest = 0;
        agent::extract(archive(kept(files), largest), _folder.path() / "out");
        std::map<std::string, std::string> found;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(_folder.path() / "out"))
        {
            if (!entry.is_regular_file())
                continue;
            struct stat status = {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat(entry.path().c_str(), &status));
            CPPUNIT_ASSERT_EQUAL(0751U, static_cast<unsigned>(status.st_mode & 07777));
            CPPUNIT_ASSERT_EQUAL(time_t(1'700'000'000), status.st_mtime);
            std::ifstream in(entry.path(), std::ios::binary);
            found[entry.path().lexically_relative(_folder.path() / "out" / "dist").string()] = {
                std::istreambuf_iterator<char>(in), {}};
        }
        CPPUNIT_ASSERT(files == found);
    }

    void testAnArchiveIsMadeInSmallPieces()
    {
        std::size_t largest = 0;
        archive(kept({{"noise", noise(20'000'000)}, {"zeros", std::string(20'000'000, '\0')}}),
                largest);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(largest), largest <= 262'144);
    }

    void testAnArchiveWithoutAContentBreaksOff()
    {
        auto manifest = kept({{"a", "1"}, {"b", "2"}});
        std::filesystem::remove(_kept.content(agent::StoredArtifacts::sha256("2")));
        breaksOff(std::move(manifest), "the content of dist/b is there no more");
    }

    // An archive of wrong bytes looked whole: the size of a content alone was compared.
    void testAnArchiveWithADamagedContentBreaksOff()
    {
        for (const std::string& bytes : {std::string("2"), noise(300'000), std::string()})
        {
            const std::string path = bytes.empty() ? "b" : "a";
            auto manifest = kept({{"a", bytes}, {"b", "other"}});
            std::string damaged = bytes.empty() ? "other" : bytes;
            damaged.back() = static_cast<char>(damaged.back() ^ 1);
            agent::StoredArtifacts::write(
                _kept.content(agent::StoredArtifacts::sha256(bytes.empty() ? "other" : bytes)),
                damaged);
            breaksOff(std::move(manifest), "the content of dist/" + path + " is damaged");
            std::filesystem::remove_all(_kept.root);
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactsTest);
