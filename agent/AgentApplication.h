#pragma once

#include "agent/Config.h"
#include "agent/api/Access.h"
#include "agent/api/ListeningSockets.h"
#include "agent/exec/ExecRequest.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/OrderBuilder.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/tls/TlsContext.h"

#include <Poco/Util/ServerApplication.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace agent
{

class StateFolder;

/// The daemon: creates the components in order and stops them in reverse order.
class AgentApplication: public Poco::Util::ServerApplication
{
public:
    AgentApplication();

    /// As ServerApplication's, but without --daemon, and with a message for an invalid command line. Returns
    /// the exit code.
    int run(int argc, char** argv);

protected:
    void defineOptions(Poco::Util::OptionSet& options) override;
    void handleOption(const std::string& name, const std::string& value) override;
    int main(const std::vector<std::string>& args) override;

private:
    /// EX_CONFIG of sysexits.h; systemd does not restart on it.
    static constexpr int exitConfig = 78;

    /// Returns `1 service`, `2 services`.
    static std::string counted(std::size_t number, const std::string& what);

    int check();
    int examineHost(const std::vector<Problem>& problems) const;
    int exec(const std::vector<std::string>& args);
    int lintFile();
    int serve();
    [[nodiscard]] AccessOptions accessOptions() const;
    void probeSandbox();
    void warnOfIsolation() const;
    void loadPlugins(PluginRegistry& plugins, std::vector<Problem>& problems) const;
    [[nodiscard]] ListenOptions listening() const;
    [[nodiscard]] std::unique_ptr<TlsContext> tlsContext() const;
    [[nodiscard]] OrderDefaults orders(const std::filesystem::path& mirrors) const;
    [[nodiscard]] OrderDefaults collecting(const StateFolder& state, OrderDefaults orders) const;

    bool _help = false;
    bool _version = false;
    bool _check = false;
    bool _doctor = false;
    bool _wholeRecord = false; ///< of the doctor
    std::string _lint;         ///< a pipeline file to check; empty: none
    std::string _lintService;  ///< whose rules count; empty: nobody's
    bool _schema = false;
    unsigned _umask = 0; ///< of who started us
    ExecRequest _exec;
    std::filesystem::path _file;
    std::vector<std::string> _definitions; ///< of -D, unparsed
    std::filesystem::path _programs;       ///< the folder of this program
    Config _config;
    SecretFolder _secrets; ///< of the configuration
    PluginRegistry _plugins;
    ServiceCatalog _services;
};

} // namespace agent
