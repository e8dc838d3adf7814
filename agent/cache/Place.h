#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>

namespace agent::cache
{

/// The workspace, or HOME: a folder that a stage may have filled with anything, and that files are put into. They are made in
/// caches::staging, a folder in it, and get their name in one step.
class Place
{
public:
    explicit Place(const std::string& path);
    ~Place() { clear(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] int root() const { return _root.get(); }

    /// Removes what an attempt before, or an archive before, left.
    void clear();

    /// The folder in which paths are made. Errors: std::runtime_error.
    int staging();

    /// Whether nothing stands at `path`, or an empty folder, which is removed.
    [[nodiscard]] bool isFree(const std::string& path) const;

    /// Renames what was made as `name` to `path`, where nothing stands. Errors: std::runtime_error.
    void settle(const std::string& name, const std::string& path);

    /// Undoes that.
    void takeBack(const std::string& name, const std::string& path);

    /// Exchanges what was made as `name` and whatever stands at `path`. Errors: std::runtime_error; both are as they were.
    void replace(const std::string& name, const std::string& path);

private:
    FileDescriptor _root;
    FileDescriptor _staging;
};

} // namespace agent::cache
