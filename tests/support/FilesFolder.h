#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <sys/stat.h>

namespace agent
{

/// A folder of its own under $TMPDIR for files that a test writes; gone with the object.
class FilesFolder
{
public:
    FilesFolder()
    {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "stage-agent-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error("mkdtemp " + pattern);
        _path = pattern;
    }

    ~FilesFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(_path, ignored);
    }

    FilesFolder(const FilesFolder&) = delete;
    FilesFolder& operator=(const FilesFolder&) = delete;

    /// Writes a file, and the folders above it, for nobody else to write.
    std::filesystem::path write(const std::string& name, const std::string& text) const
    {
        std::filesystem::path file = _path / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        ::chmod(file.parent_path().c_str(), 0755);
        ::chmod(file.c_str(), 0644);
        return file;
    }

    /// The same for its owner alone to read, as a secret.
    std::filesystem::path writePrivate(const std::string& name, const std::string& text) const
    {
        std::filesystem::path file = write(name, text);
        ::chmod(file.c_str(), 0600);
        return file;
    }

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

private:
    std::filesystem::path _path;
};

} // namespace agent
