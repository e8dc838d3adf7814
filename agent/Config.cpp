#include "agent/Config.h"

#include "agent/document/Properties.h"
#include "agent/model/Suggestion.h"
#include "agent/model/Timestamp.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/StringTokenizer.h>

#include <charconv>
#include <cstdlib>
#include <grp.h>
#include <optional>
#include <set>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

const std::string loopback = "127.0.0.1";

/// `stage.stuck_after.<TYPE>` says it for the stages of a type.
const std::string stuckAfter = "stage.stuck_after";

const std::set<std::string>& knownKeys()
{
    static const std::set<std::string> known = [] {
        std::set<std::string> keys{
