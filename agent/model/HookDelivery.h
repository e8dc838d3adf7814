#pragma once

#include "agent/model/Timestamp.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// What a forge delivered, and what came of it.
struct HookDelivery
{
    std::int64_t seq = 0; ///< assigned by the record
    TimeMs at = 0;
    std::string forge;    ///< `github`, `gitlab` or `gitea`
    std::string delivery; ///< the forge's id of it
    std::string event;    ///< as the forge calls it
    std::string repository;
    std::string ref;     ///< branch, tag or `#12`; empty: none
    std::string outcome; ///< for people, a service a line
    std::vector<std::string> runIds;
};

} // namespace agent
