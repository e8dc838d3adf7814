#pragma once

#include "agent/document/DocumentValue.h"
#include "agent/model/NeedSpec.h"

#include <vector>

namespace agent
{

/// Reads `needs` of a stage: docs/artifacts.md. `stored`: it is our own JSON, and only its shape is checked.
void readNeeds(const DocumentValue& value, std::vector<NeedSpec>& needs, bool stored);

} // namespace agent
