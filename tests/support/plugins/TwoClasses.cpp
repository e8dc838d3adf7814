// Nothing says which of the two is meant.
#include "agent/plugin/StagePlugin.h"

class First: public agent::v1::StagePlugin
{
    agent::v1::Result run(const agent::v1::StageContext&) override
    {
        return agent::v1::Result::passed();
    }
};

class Second: public First
{
};

extern "C" __attribute__((visibility("default"))) int stage_agent_plugin_abi()
{
    return agent::v1::abi;
}

POCO_BEGIN_MANIFEST(agent::v1::StagePlugin)
POCO_EXPORT_CLASS(First)
POCO_EXPORT_CLASS(Second)
POCO_END_MANIFEST
