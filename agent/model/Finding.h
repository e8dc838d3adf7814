#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent
{

enum class Health
{
    Ok,
    Warn, ///< works, but not as well or as safely as possible
    Fail
};

inline std::string_view toString(Health health)
{
    return health == Health::Ok ? "ok" : health == Health::Warn ? "warn" : "fail";
}

/// The result of a check by `stagectl doctor`.
struct Finding
{
    std::string check;
    Health health = Health::Ok;
    std::string seen;
    std::string advice; ///< what to do; empty with Ok
};

/// Findings in the order of the checks.
class Findings
{
public:
    void ok(const std::string& check, std::string seen)
    {
        add({.check = check, .health = Health::Ok, .seen = std::move(seen), .advice = {}});
    }
    void warn(const std::string& check, std::string seen, std::string advice)
    {
        add({check, Health::Warn, std::move(seen), std::move(advice)});
    }
    void fail(const std::string& check, std::string seen, std::string advice)
    {
        add({check, Health::Fail, std::move(seen), std::move(advice)});
    }
    void add(Finding finding) { _all.push_back(std::move(finding)); }

    [[nodiscard]] const std::vector<Finding>& all() const { return _all; }

    [[nodiscard]] std::size_t count(Health health) const
    {
        std::size_t count = 0;
        for (const Finding& finding : _all)
            count += finding.health == health ? 1 : 0;
        return count;
    }

private:
    std::vector<Finding> _all;
};

} // namespace agent
