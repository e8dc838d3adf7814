#pragma once

#include "agent/api/TokenFailures.h"
#include "agent/intake/Hooks.h"
#include "agent/outbox/TargetWorker.h"
#include "agent/run/CacheWorker.h"
#include "agent/run/EngineStatus.h"
#include "agent/store/RecordCheck.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// What is measured, as Prometheus reads it. Counters begin at 0 with each start of the daemon.
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
std::string metricsText(const EngineStatus& facts, std::size_t stuck);

/// The same of the certificate in use.
std::string certificateMetrics(std::int64_t expiresAt);
/// The part of it that a token narrowed to services may see.
std::string stuckMetrics(std::size_t stuck);

/// The same of what forges deliver.
std::string hookMetrics(const Hooks::Counts& counts);

/// The same of the targets of reports.
std::string outboxMetrics(const std::vector<TargetStatus>& targets, TimeMs now);

/// The same of caches; `bytes`: of all archives.
std::string cacheMetrics(const CacheCounts& counts, std::int64_t bytes);

/// The same of wrong tokens.
std::string accessMetrics(const TokenFailures::Counts& counts);

/// The same of the record's background check.
std::string recordMetrics(const RecordCheck::Result& result);

} // namespace agent
