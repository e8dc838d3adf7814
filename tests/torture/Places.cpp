#include "tests/torture/Places.h"

#include "tests/support/Daemon.h"

#include <filesystem>
#include <regex>

namespace agent::test
{

Places places()
{
    namespace fs = std::filesystem;
    Places found;
    const std::regex use(R"rx((FAILPOINT|FAILPOINT_ERRNO)\("([^"]+)"\))rx");
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(STAGE_AGENT_SOURCE_DIR) / "agent"))
    {
        if (entry.path().extension() != ".cpp")
            continue;
        const std::string text = contentOf(entry.path());
        const std::string folder = entry.path().parent_path().filename();
        for (std::sregex_iterator match(text.begin(), text.end(), use), end; match != end; ++match)
            ((*match)[1] == "FAILPOINT_ERRNO" ? found.errors
             : folder == "shim"               ? found.shim
             : folder == "cache"              ? found.cache
             : folder == "collect"            ? found.collector
                                              : found.daemon)
                .insert((*match)[2]);
    }
    return found;
}

} // namespace agent::test
