#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/os/RegularFile.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

namespace agent
{

/// A content as the store has it.
struct StoredContent
{
    std::string digest; ///< SHA-256, 64 digits
    std::int64_t size = 0;
};

/// The store of contents by their digest, as one attempt writes to it: docs/artifacts.md. What it adds is in the attempt's
/// set until publish(), and nobody sees it before.
class ContentStore
{
public:
    /// `store`: `<state>/artifacts`, made where missing. `run` and `attempt` name the set; one that is there is what a killed
    /// collector left, and is emptied.
    /// Errors: std::system_error.
    ContentStore(const std::string& store, const std::string& run, const std::string& attempt);

    /// Adds what `file` holds now, `size` bytes of it at the least expected; reads it once. A content that the store has is
    /// linked, not written. `most`: more bytes are refused.
    /// Errors: NotKept for more bytes than `most`; std::system_error.
    StoredContent add(const RegularFile& file, std::int64_t size, std::int64_t most);

    /// Brings the set to disk. Errors: std::system_error.
    void sync();

    /// Gives each content of the set its name in objects/. Errors: std::system_error.
    void publish();

    /// The file system of the set.
    [[nodiscard]] std::uint64_t device() const;

private:
    StoredContent addSmall(const RegularFile& file, std::int64_t most);
    StoredContent addLarge(const RegularFile& file, std::int64_t most);
    [[nodiscard]] bool known(const StoredContent& content);
    void publish(const std::string& digest);
    [[nodiscard]] bool shareNamed(const std::string& digest, const std::string& name) const;

    FileDescriptor _store;
    FileDescriptor _objects;
    FileDescriptor _set;
    std::unordered_set<std::string> _digests; ///< of the set
    std::unordered_set<std::string> _renewed; ///< those whose name in objects/ has no links left
    std::unique_ptr<char[]> _buffer;
};

} // namespace agent
