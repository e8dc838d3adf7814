#pragma once

#include "agent/model/Report.h"

#include <initializer_list>
#include <string>

#include <rapidjson/document.h>

namespace agent
{

/// The CloudEvent that a report was written as, read again by those who send something else than the event.
class ReportBody
{
public:
    /// Errors: std::runtime_error where the body is no JSON object.
    explicit ReportBody(const Report& report);

    /// Returns the value at a path of members below `data`; null where one is missing.
    [[nodiscard]] const rapidjson::Value& at(std::initializer_list<const char*> path) const;

    /// Returns the text at such a path; empty where there is none.
    [[nodiscard]] std::string text(std::initializer_list<const char*> path) const;

private:
    rapidjson::Document _event;
};

} // namespace agent
