// Built for another contract: only its number may be asked for.
#include <cstdlib>

extern "C" __attribute__((visibility("default"))) int stage_agent_plugin_abi()
{
    return 99;
}

extern "C" __attribute__((visibility("default"))) bool pocoBuildManifest(void*)
{
    std::abort();
}
