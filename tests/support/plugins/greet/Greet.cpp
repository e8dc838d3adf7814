#include <agent/plugin/StagePlugin.h>
#include <iostream>

class Greet: public agent::v1::StagePlugin
{
public:
    agent::v1::Result run(const agent::v1::StageContext& context) override
    {
        const std::string who = context.setting("who");
        if (who == "nobody")
            return agent::v1::Result::failed("greet: nobody is there");
        std::cout << "Hello " << who << ", this is " << context.variable("SERVICE_NAME")
                  << std::endl;
        context.outputs["greeted"] = who;
        return agent::v1::Result::passed();
    }
};

STAGE_AGENT_PLUGIN(Greet)
