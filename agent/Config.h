#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/run/IsolationPolicy.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// The daemon's checked configuration; conf/stage-agent.properties documents each key.
struct Config
{
    std::string httpAddress;
    std::uint16_t httpPort = 0;
    std::vector<std::string> httpHosts;
    std::filesystem::path tlsCertificate; ///< empty: no TLS
    std::filesystem::path tlsKey;
    std::string httpBasePath;          ///< as BasePath wants it
    bool plainBehindProxy = false;     ///< http.plain: the operator says that a proxy speaks TLS
    std::filesystem::path httpSocket;  ///< empty: none
    std::string operatorsGroup;        ///< empty: the agent's own
    std::optional<gid_t> operatorsGid; ///< none: the agent's own, or there is no such group
    bool authRequired = true;
    std::string proxyHeader; ///< in lower case; empty: none
    bool metricsPublic = false;
    std::filesystem::path credentialsDir; ///< of systemd; empty: none
    std::filesystem::path stateDir;
    std::filesystem::path servicesDir;
    std::filesystem::path pluginsDir;
    std::filesystem::path secretsDir;
    std::filesystem::path gitConfig; ///< empty: none
    int slots = 1;
    IsolationPolicy isolation;    ///< but for what the host and the programs say
    bool isolationChosen = false; ///< isolation.default is set
    std::int64_t stageTimeoutMs = 0;
    std::int64_t stageGraceMs = 0;
    std::int64_t stuckAfterMs = 0;
    std::map<StageType, std::int64_t> stuckAfterByType;
    std::int64_t logMaxBytes = 0;
    std::int64_t cachesMaxBytes = 0; ///< 0: none is saved
    std::int64_t cachesTimeoutMs = 0;
    std::int64_t artifactsMaxBytes = 0;
    std::int64_t artifactsMaxFiles = 0;
    std::int64_t artifactsTimeoutMs = 0;
    std::int64_t diskMinFree = 0;
    std::int64_t diskMinFreeInodes = 0;
    std::optional<std::int64_t> queueMax; ///< absent: no limit
    std::int64_t runsKeepMs = 0;          ///< 0 in this and those below: forever
    std::int64_t runsKeepCount = 0;
    std::int64_t workspaceKeepMs = 0;
    std::int64_t artifactsKeepMs = 0;
    std::int64_t logsCompressAfterMs = 0;
    std::int64_t mirrorsKeepMs = 0;
    std::string hookSecret; ///< file in secretsDir for services without their own; empty: none
    std::string publicUrl;  ///< of the agent, without a slash at its end; empty: where it listens
    std::filesystem::path outboxDir;
    std::int64_t outboxKeepMs = 0;
    std::int64_t outboxMax = 0;         ///< reports for one target; 0: no limit
    std::filesystem::path outboxCaFile; ///< empty: the system's authorities
    std::vector<Problem> warnings;      ///< not errors, such as a missing folder
};

/// Returns every key, or its default. `file` is the configuration file; empty: none. `definitions` are those of
/// `-D`, `key=value`; they override the file.
/// Errors: added to `problems`, with place and key; the value is the default then.
/// Blocks while http.address is resolved, if it is a name.
Config readConfig(const std::filesystem::path& file, const std::vector<std::string>& definitions,
                  std::vector<Problem>& problems);

} // namespace agent
