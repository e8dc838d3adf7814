#pragma once

#include "agent/model/PipelineSpec.h"

#include <vector>

namespace agent
{

class ServiceCatalog;

/// Returns what services need of others that are not declared, or that keep no artifacts of that name. None of it is an error: the
/// file of the other may come later. With file and line.
/// Threads: any. Blocks: reads the files of such services again.
std::vector<Problem> doubtfulNeeds(const ServiceCatalog& services);

} // namespace agent
