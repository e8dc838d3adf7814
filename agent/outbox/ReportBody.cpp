#include "agent/outbox/ReportBody.h"

#include <stdexcept>

namespace agent
{

ReportBody::ReportBody(const Report& report)
{
    _event.Parse(report.body.data(), report.body.size());
    if (_event.HasParseError() || !_event.IsObject())
        throw std::runtime_error("the report " + report.id + " on record is damaged");
}

const rapidjson::Value& ReportBody::at(std::initializer_list<const char*> path) const
{
    static const rapidjson::Value null;
    const auto data = _event.FindMember("data");
    const rapidjson::Value* found = data == _event.MemberEnd() ? &null : &data->value;
    for (const char* name : path)
    {
        if (!found->IsObject())
            return null;
        const auto member = found->FindMember(name);
        if (member == found->MemberEnd())
            return null;
        found = &member->value;
    }
    return *found;
}

std::string ReportBody::text(std::initializer_list<const char*> path) const
{
    const rapidjson::Value& found = at(path);
    return found.IsString() ? std::string(found.GetString(), found.GetStringLength()) : "";
}

} // namespace agent
