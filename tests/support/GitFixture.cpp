#include "tests/support/GitFixture.h"

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

namespace fs = std::filesystem;

GitFixture::GitFixture() : _origin(_folder.path() / "origin")
{
    makeRepository(_origin);
}

fs::path GitFixture::library()
{
    return STAGE_AGENT_BIN_DIR "/plugins/git/git.so";
}

GitFixture::Environment GitFixture::settings(const std::string& repository, const std::string& ref,
                                             const PluginFolder& folder)
{
    return folder.environment({{"REPOSITORY", repository}, {"REF", ref}});
}

PluginEnd GitFixture::checkOut(const std::string& repository, const std::string& ref)
{
    return checkOut(repository, ref, _folder);
}

PluginEnd GitFixture::checkOut(const std::string& repository, const std::string& ref,
                               const PluginFolder& folder)
{
    return runHost(library(), folder, {{"REPOSITORY", repository}, {"REF", ref}});
}

PluginEnd GitFixture::passed(PluginEnd end)
{
    CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 0, end.exitCode);
    return end;
}

void GitFixture::assertFailure(const PluginEnd& end, const std::string& text)
{
    CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), 1, end.exitCode);
    CPPUNIT_ASSERT_MESSAGE(end.describe(), end.errors.find(text) != std::string::npos);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(end.describe(), std::ptrdiff_t(1),
                                 std::count(end.errors.begin(), end.errors.end(), '\n'));
}

void GitFixture::assertNoCanary(const std::string& value) const
{
    CPPUNIT_ASSERT_MESSAGE(value + " was executed", !fs::exists(canary()));
}

void GitFixture::await(const std::function<bool()>& condition)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition())
    {
        CPPUNIT_ASSERT_MESSAGE("waited too long", std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

std::string GitFixture::git(std::vector<std::string> argv) const
{
    argv.insert(argv.begin(), {"/usr/bin/git", "-c", "user.name=Ada", "-c",
                               "user.email=ada@example.org", "-c", "init.defaultBranch=main"});
    Environment env = _folder.environment({});
    env["WORKSPACE"] = _folder.path() / "git"; // keeps its words apart from the host's
    env["STAGE_OUTPUTS"] = _folder.path() / "git.outputs";
    return passed(PluginProcess(std::move(argv), env).wait()).out;
}

void GitFixture::makeRepository(const fs::path& path) const
{
    git({"init", "-q", path});
}

std::string GitFixture::commitFile(const std::string& name, const std::string& content,
                                   const std::string& message) const
{
    return commitFile(name, content, message, _origin);
}

std::string GitFixture::commitFile(const std::string& name, const std::string& content,
                                   const std::string& message, const fs::path& repository) const
{
    fs::create_directories((repository / name).parent_path());
    std::ofstream(repository / name) << content;
    git({"-C", repository, "add", "-A"});
    git({"-C", repository, "commit", "-q", "-m", message});
    return git({"-C", repository, "rev-parse", "HEAD"}).substr(0, 40);
}

void GitFixture::addManyFiles() const
{
    std::mt19937 random(1); // NOLINT: any bytes that don't compress
    for (int i = 0; i < 300; ++i)
    {
        std::ofstream file(fs::path(_origin) / ("many" + std::to_string(i)), std::ios::binary);
        for (int j = 0; j < 2000; ++j)
            file << static_cast<char>(random());
    }
    commitFile("many", "files");
}

fs::path GitFixture::mirror() const
{
    for (const fs::directory_entry& entry : fs::directory_iterator(_folder.cache() / "mirrors"))
        if (entry.path().extension() == ".git")
            return entry.path();
    CPPUNIT_FAIL("there is no mirror");
    return {};
}
