#pragma once

#include "agent/model/Timestamp.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// What a report tells of; what its receivers know it by.
namespace reportEvents
{

inline constexpr const char* runChanged =
    "run.changed"; ///< a run is new, or changed without ending
inline constexpr const char* runEnded = "run.ended";
inline constexpr const char* stageChanged = "stage.changed";

/// The log of an attempt that begins: sent piece by piece until it has ended.
inline constexpr const char* stageLog = "stage.log";

} // namespace reportEvents

/// A report that waits in the record until its target has confirmed it.
struct Report
{
    std::int64_t seq = 0; ///< order of creation; assigned by the record
    std::string id;       ///< version 4, the same in every attempt to send it
    std::string target;   ///< name of the target
    std::string runId;
    std::int64_t number = 0; ///< from 1 in its run, whatever its target
    std::string event;
    TimeMs at = 0;
    std::string body; ///< as it is sent: the state of its time
};

/// The reports of one lane keep their order: those of a run, but that logs wait for nothing and hold up nothing.
std::string laneOf(const std::string& runId, std::int64_t seq, const std::string& event);

/// Which reports are to be written for a target.
struct Subscription
{
    std::string target;
    std::vector<std::string>
        services; ///< patterns of their names; empty: all, and runs without a service
    std::vector<std::string> events; ///< empty: all
    bool wholeRun = false;           ///< each report has how all stages of the run stand
    bool logs = false;               ///< logs too, of stages of a type of the API but OTHER

    [[nodiscard]] bool wants(const std::string& event, const std::string& service) const;
};

} // namespace agent
