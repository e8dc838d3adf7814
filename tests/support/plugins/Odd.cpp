// A plugin that behaves as its setting `behaviour` says: what the host must survive.
#include "agent/plugin/StagePlugin.h"

#include <Poco/Exception.h>

#include <csignal>
#include <iostream>
#include <stdexcept>
#include <thread>

using agent::v1::Result;
using agent::v1::StageContext;

class Odd: public agent::v1::StagePlugin
{
public:
    Result run(const StageContext& context) override
    {
        const std::string behaviour = context.setting("behaviour");
        std::cout << "odd: " << behaviour << std::endl;
        context.outputs["behaviour"] = behaviour;
        context.outputs["quoted"] = "a \"quoted\"\nline\t\\ and \x01";
        if (behaviour == "fail")
            return Result::failed("odd: as it was told to");
        if (behaviour == "throw-poco")
            throw Poco::IOException("the reason", "and its detail");
        if (behaviour == "throw-std")
            throw std::runtime_error("a plain reason");
        if (behaviour == "throw-int")
            throw 7; // NOLINT: what a careless plugin does
        if (behaviour == "crash")
        {
            std::signal(SIGSEGV, SIG_DFL); // not a sanitizer's handler
            std::raise(SIGSEGV);
        }
        if (behaviour == "throw-in-thread")
            std::thread([] { throw std::runtime_error("in a thread"); }).join();
        if (behaviour == "exit")
            std::exit(0);
        if (behaviour == "no-utf8")
            context.outputs["broken"] = "\xff";
        return Result::passed();
    }
};

STAGE_AGENT_PLUGIN(Odd)
