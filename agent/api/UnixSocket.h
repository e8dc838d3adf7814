#pragma once

#include "agent/os/FileDescriptor.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

namespace agent
{

/// The file of a listening Unix socket: mode 0660, removed at the end of the object if it is still this one.
/// A path longer than sun_path (107 bytes) is bound through its folder's descriptor.
class UnixSocket
{
public:
    /// Binds and listens at `path`. A socket of this user at which nobody listens any more (a crash has
    /// left it) is replaced; nothing else is, and no symbolic link in the last component is followed.
    /// `group`: owns the file where that is possible, else `warn` gets a line that says what to do.
    /// Errors: std::runtime_error that names the path, and what to do.
    UnixSocket(std::filesystem::path path, std::optional<gid_t> group,
               const std::function<void(const std::string&)>& warn);
    ~UnixSocket();
    UnixSocket(const UnixSocket&) = delete;
    UnixSocket& operator=(const UnixSocket&) = delete;

    /// Gives the listening socket away; once.
    FileDescriptor take() { return std::move(_socket); }

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

private:
    void removeStale() const;
    void bind();
    void share(std::optional<gid_t> group, const std::function<void(const std::string&)>& warn);
    [[noreturn]] void fail(const std::string& why) const;

    std::filesystem::path _path;
    std::string _name;
    FileDescriptor _folder;
    FileDescriptor _file; ///< O_PATH, of the socket's file
    FileDescriptor _socket;
};

} // namespace agent
