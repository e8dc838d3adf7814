#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace agent
{

/// Ready bytes of `GET /api/stages?runId=`, by run. The engine drops a run's at each commit that changes
/// it; a reader may put in what it read only if nothing was dropped since it began to read.
/// Threads: any.
class StageListCache
{
public:
    using Bytes = std::shared_ptr<const std::string>;

    /// Returns null when there is none. `epoch` is to be given to put().
    Bytes get(const std::string& runId, std::uint64_t& epoch);
    void put(const std::string& runId, Bytes bytes, std::uint64_t epoch);
    void drop(const std::string& runId);

private:
    static constexpr std::size_t capacity = 256; ///< runs; a list is about 2 KiB

    std::mutex _mutex;
    std::unordered_map<std::string, Bytes> _entries;
    std::list<std::string> _order; ///< oldest first
    std::uint64_t _epoch = 0;
};

} // namespace agent
