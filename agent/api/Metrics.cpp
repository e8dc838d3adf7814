#include "agent/api/Metrics.h"

#include <algorithm>

namespace agent
{

namespace
{

/// Names, statuses and causes are our own words: none needs quoting.
class Page
{
public:
    void family(const char* name, const char* type, const char* help)
    {
        _text +=
            std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    }

    void sample(const std::string& nameAndLabels, const std::string& value)
    {
        _text += nameAndLabels + " " + value + "\n";
    }

    void sample(const std::string& nameAndLabels, std::uint64_t value)
    {
        sample(nameAndLabels, std::to_string(value));
    }

    void sample(const char* name, const char* label, const std::string& labelled,
                std::uint64_t value)
    {
        _text.append(name).append("{").append(label).append("=\"").append(labelled).append("\"} ");
        _text.append(std::to_string(value)).append("\n");
    }

    void gauge(const char* name, const char* help, std::uint64_t value)
    {
        family(name, "gauge", help);
        sample(name, value);
    }

    [[nodiscard]] const std::string& text() const { return _text; }

private:
    std::string _text;
};

std::string seconds(std::uint64_t ms)
{
    const std::string rest = std::to_string(1000 + ms % 1000);
    return std::to_string(ms / 1000) + "." + rest.substr(1);
}

/// The first services only, and as few types: StageCounts has an end.
std::string labelsOf(const StageCounts::Group& group)
{
    return "service=\"" + group.first + "\",type=\"" + std::string(toString(group.second)) + "\"";
}

void addDurations(Page& page, const StageCounts& counts)
{
    const std::string name = "stage_agent_stage_duration_seconds";
    page.family(name.c_str(), "histogram", "How long stages took, each attempt.");
    for (const auto& [group, durations] : counts.durations())
    {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < durations.buckets.size(); ++i)
        {
            sum += durations.buckets.at(i);
            page.sample(name + "_bucket{" + labelsOf(group) + ",le=\"" +
                            (i < StageCounts::bounds.size()
                                 ? std::to_string(StageCounts::bounds.at(i))
                                 : std::string("+Inf")) +
                            "\"}",
                        sum);
        }
        page.sample(name + "_sum{" + labelsOf(group) + "}", seconds(durations.totalMs));
        page.sample(name + "_count{" + labelsOf(group) + "}", sum);
    }
}

constexpr const char* stuckHelp = "Running stages that are reported as stuck now.";

} // namespace

std::string stuckMetrics(std::size_t stuck)
{
    Page page;
    page.gauge("stage_agent_stages_stuck", stuckHelp, stuck);
    return page.text();
}

std::string accessMetrics(const TokenFailures::Counts& counts)
{
    Page page;
    page.family("stage_agent_auth_failures_total", "counter", "Requests with a wrong token.");
    page.sample("stage_agent_auth_failures_total", counts.failures);
    page.family("stage_agent_auth_delayed_total", "counter",
                "Those of them that were answered with 429.");
    page.sample("stage_agent_auth_delayed_total", counts.delayed);
    return page.text();
}

std::string hookMetrics(const Hooks::Counts& counts)
{
    Page page;
    const char* const name = "stage_agent_hook_deliveries_total";
    page.family(name, "counter", "What forges delivered, by what came of it.");
    for (const auto& [result, count] :
         {std::pair{"run", counts.started}, {"none", counts.without}, {"refused", counts.refused}})
        page.sample(name, "result", result, count);
    return page.text();
}

std::string cacheMetrics(const CacheCounts& counts, std::int64_t bytes)
{
    Page page;
    const char* const hits = "stage_agent_cache_hits_total";
    page.family(hits, "counter", "Caches that were restored, by what matched.");
    page.sample(hits, "match", "exact", counts.exact);
    page.sample(hits, "match", "prefix", counts.prefix);
    const auto counter = [&page](const char* name, const char* help, const auto& value)
    {
        page.family(name, "counter", help);
        page.sample(name, value);
    };
    counter("stage_agent_cache_misses_total", "Caches of stages of which there were none.",
            counts.misses);
    counter("stage_agent_cache_restored_bytes_total", "Content of restored caches.",
            counts.restoredBytes);
    counter("stage_agent_cache_saved_bytes_total", "Archives that were saved.", counts.savedBytes);
    counter("stage_agent_cache_seconds_saved_total",
            "How much shorter stages were than those that made their caches.",
            seconds(counts.savedMs));
    page.gauge("stage_agent_cache_bytes", "All archives of caches.",
               static_cast<std::uint64_t>(bytes));
    return page.text();
}

std::string outboxMetrics(const std::vector<TargetStatus>& targets, TimeMs now)
{
    if (targets.empty())
        return "";
    Page page;
    const auto family = [&](const char* name, const char* type, const char* help, auto value)
    {
        page.family(name, type, help);
        for (const TargetStatus& target : targets)
            page.sample(name, "target", target.name, static_cast<std::uint64_t>(value(target)));
    };
    family("stage_agent_outbox_waiting", "gauge", "Reports that wait for the target.",
           [](const auto& target) { return target.backlog.reports; });
    family("stage_agent_outbox_oldest_age_seconds", "gauge",
           "How long the oldest of them has been waiting.",
           [&](const auto& target)
           { return std::max<TimeMs>(0, now - target.backlog.oldestAt.value_or(now)) / 1000; });
    family("stage_agent_outbox_failing", "gauge", "1 unless the target takes reports.",
           [](const auto& target) { return target.state == "ok" ? 0 : 1; });
    family("stage_agent_outbox_sent_total", "counter", "Reports that the target confirmed.",
           [](const auto& target) { return target.sent; });
    family("stage_agent_outbox_failures_total", "counter",
           "Attempts that failed and were, or will be, repeated.",
           [](const auto& target) { return target.failures; });
    family("stage_agent_outbox_dropped_total", "counter",
           "Reports that the target refused for good, or that became too old.",
           [](const auto& target) { return target.dropped; });
    return page.text();
}

std::string metricsText(const EngineStatus& facts, std::size_t stuck)
{
    Page page;
    page.family("stage_agent_info", "gauge", "The program that answers.");
    page.sample("stage_agent_info{version=\"" STAGE_AGENT_VERSION "\"}", 1);
    const auto whole = [](auto value) { return static_cast<std::uint64_t>(value); };
    page.gauge("stage_agent_slots", "Runs that may go on at a time.", whole(facts.slots));
    page.gauge("stage_agent_slots_in_use", "Runs that hold a slot.", whole(facts.running));
    page.gauge("stage_agent_slots_set_aside",
               "Slots of stages that are to end and whose processes can't be ended.",
               whole(facts.blockedSlots.size()));
    page.gauge("stage_agent_runs_queued", "Runs that wait for a slot.", whole(facts.queued));
    page.gauge("stage_agent_draining", "1 while no new runs are taken.", facts.draining ? 1 : 0);
    page.gauge("stage_agent_store_ok", "1 unless the last transaction failed.",
               facts.alive ? 1 : 0);
    page.gauge("stage_agent_disk_free_bytes", "Free space for the state folder.",
               whole(facts.freeBytes));
    if (facts.freeInodes)
        page.gauge("stage_agent_disk_free_inodes", "Free inodes for the state folder.",
                   whole(*facts.freeInodes));
    page.gauge("stage_agent_disk_low",
               "1 while disk.min_free or disk.min_free_inodes keeps stages from starting.",
               facts.diskLow ? 1 : 0);
    page.gauge("stage_agent_stages_stuck", stuckHelp, stuck);
    page.family("stage_agent_stages_stuck_total", "counter",
                "Times that a stage was found to be stuck.");
    page.sample("stage_agent_stages_stuck_total", facts.stuck);
    page.family("stage_agent_stages_ended_total", "counter",
                "Ends of stages, attempts that are tried again too.");
    for (const auto& [end, count] : facts.counts->ends())
    {
        const auto& [group, status, cause] = end;
        page.sample("stage_agent_stages_ended_total{" + labelsOf(group) + ",status=\"" +
                        std::string(toString(status)) + "\",cause=\"" +
                        std::string(toString(cause)) + "\"}",
                    count);
    }
    addDurations(page, *facts.counts);
    return page.text();
}

std::string certificateMetrics(std::int64_t expiresAt)
{
    Page page;
    page.gauge("stage_agent_tls_certificate_expiry_timestamp_seconds",
               "When the certificate in use expires.",
               static_cast<std::uint64_t>(std::max<std::int64_t>(0, expiresAt)));
    return page.text();
}

std::string recordMetrics(const RecordCheck::Result& result)
{
    Page page;
    page.gauge("stage_agent_record_damaged", "1 when the last check of the record found a fault.",
               result.damage.empty() ? 0 : 1);
    page.gauge("stage_agent_record_checked_timestamp_seconds",
               "When the whole record was last read and found without a fault; 0: not yet.",
               static_cast<std::uint64_t>(result.wholeAt.value_or(0) / 1000));
    return page.text();
}

} // namespace agent
