#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// Values of secrets in a memory file that outlives the daemon, where systemd keeps it: docs/secrets.md, "Rotation".
/// NAME NUL VALUE NUL …, oldest first. Each is appended by one write; one whose end is missing is none.
/// Threads: one at a time.
class SecretMemory
{
public:
    using Value = std::pair<std::string, std::string>; ///< with the secret's name

    /// None: nothing is kept.
    SecretMemory() = default;

    /// `file`: a memory file.
    explicit SecretMemory(FileDescriptor file) : _file(std::move(file)) {}

    [[nodiscard]] std::vector<Value> values() const;

    void add(const Value& value) const;

    /// Whether it has grown so large that it is to be written anew.
    [[nodiscard]] bool large() const;

    void replace(const std::vector<Value>& values) const;

private:
    FileDescriptor _file;
};

} // namespace agent
