#include "agent/run/RefusedVariables.h"

#include <algorithm>
#include <set>

namespace agent
{

namespace
{

bool matches(std::string_view pattern, std::string_view name)
{
    if (!pattern.ends_with('*'))
        return name == pattern;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
}

} // namespace

const std::vector<RefusedVariables>& refusedVariables()
{
    // By program, so that a missing one is seen. Names of data alone (NODE_ENV, TF_VAR_…, AWS_REGION) stay
    // free: where a family has both, it is listed one by one.
    static const std::vector<RefusedVariables> table{
        {"makes a shell run or parse something else", {"BASH_*",
                                                       "BASHOPTS",
                                                       "CDPATH",
                                                       "ENV",
                                                       "EXECIGNORE",
                                                       "FCEDIT",
                                                       "FPATH",
                                                       "GLOBIGNORE",
                                                       "HISTFILE",
                                                       "IFS",
                                                       "INPUTRC",
                                                       "KSH_*",
                                                       "MAIL",
                                                       "MAILPATH",
                                                       "POSIXLY_CORRECT",
                                                       "PROMPT_COMMAND",
                                                       "PS0",
                                                       "PS1",
                                                       "PS2",
                                                       "PS3",
                                                       "PS4",
                                                       "SHELL",
                                                       "SHELLOPTS",
                                                       "TMOUT",
                                                       "ZDOTDIR"}},
        {"loads other code into every program",
         {"DYLD_*", "GCONV_PATH", "GETCONF_DIR", "GIO_*", "GLIBC_TUNABLES", "GST_*", "GTK_*",
          "LD_*", "LIBPATH", "LOCPATH", "MALLOC_*", "NLSPATH", "OPENSSL_*", "QT_*", "SHLIB_PATH",
          "_RLD*"}},
        {"decides where programs and their configuration are found",
         {"COMSPEC", "HOME", "LOGNAME", "OLDPWD", "PATH", "PATHEXT", "PWD", "TERMCAP", "TERMINFO*",
          "TERMPATH", "USER", "XAUTHORITY", "XDG_*"}},
        {"names a program that others start",
         {"BROWSER", "DIFFPAGER", "EDITOR", "LESS*", "MANPAGER", "MANPATH", "PAGER", "SUDO_*",
          "SYSTEMD_*", "VISUAL"}},
        {"decides which hosts and certificates programs trust, or lists their keys",
         {"ALL_PROXY",  "CURL_*",      "FTP_PROXY",     "HOSTALIASES", "HTTPS_PROXY",
          "HTTP_PROXY", "LOCALDOMAIN", "NETRC",         "NO_PROXY",    "REQUESTS_CA_BUNDLE",
          "RESOLV_*",   "RES_OPTIONS", "SSLKEYLOGFILE", "SSL_*",       "SYSTEM_WGETRC",
          "WGETRC",     "all_proxy",   "ftp_proxy",     "http_proxy",  "https_proxy",
          "no_proxy"}},
        {"makes Git, SSH or another tool for sources run or fetch something else",
         {"CVS_*", "GIT_*", "GNUPGHOME", "GPG_*", "HG*", "RSYNC_*", "SSH_*", "SVN_*"}},
        {"makes Python run something else",
         {"CONDA_*", "IPYTHONDIR", "PIPENV_*", "PIP_*", "POETRY_*", "PYENV_*", "PYTEST_*",
          "PYTHON*", "TOX_*", "UV_*", "VIRTUALENV_*", "VIRTUAL_ENV"}},
        {"makes Node.js or its package managers run something else",
         {"BUN_*",
          "COREPACK_*",
          "DENO_*",
          "ELECTRON_*",
          "NODE_EXTRA_CA_CERTS",
          "NODE_ICU_DATA",
          "NODE_OPTIONS",
          "NODE_PATH",
          "NODE_PENDING_*",
          "NODE_PRESERVE_*",
          "NODE_REDIRECT_WARNINGS",
          "NODE_REPL_*",
          "NODE_TLS_REJECT_UNAUTHORIZED",
          "NODE_V8_COVERAGE",
          "NPM_CONFIG_*",
          "NVM_*",
          "PNPM_*",
          "TS_NODE_*",
          "YARN_*",
          "npm_*"}},
        {"makes Perl, Ruby, PHP, Lua, R or Erlang run something else",
         {"BUNDLE_*", "COMPOSER_*", "ELIXIR_*", "ERL_*", "GEM_*", "IRBRC", "LUA_*", "MIX_*",
          "PERL*", "PHPRC", "PHP_*", "RAKEOPT", "RBENV_*", "RUBY*", "R_*"}},
        {"makes Java or its build tools run something else",
         {"ANT_*", "CATALINA_*", "CLASSPATH", "GRADLE_*", "GROOVY_*", "JAVA_*", "JDK_*", "JRUBY_*",
          "JVM_*", "KOTLIN_*", "M2_HOME", "MAVEN_*", "MVN_*", "SBT_*", "SCALA_*", "_JAVA_OPTIONS"}},
        {"makes Go, Rust or .NET run or fetch something else",
         {"CARGO*",       "CGO_*",     "COMPlus_*",  "CORECLR_*",  "COR_*",     "DOTNET_*",
          "GO111MODULE",  "GOAUTH",    "GOBIN",      "GOCACHE*",   "GODEBUG",   "GOENV",
          "GOEXPERIMENT", "GOFLAGS",   "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB",
          "GOPATH",       "GOPRIVATE", "GOPROXY",    "GOROOT",     "GOSUMDB",   "GOTOOLCHAIN",
          "GOTOOLDIR",    "GOVCS",     "GOWORK",     "MSBUILD*",   "NUGET_*",   "RUSTC*",
          "RUSTDOC*",     "RUSTFLAGS", "RUSTUP_*"}},
        {"makes make, a compiler or another build tool run something else",
         {"ACLOCAL_PATH",
          "AR",
          "AS",
          "CC",
          "CCACHE_*",
          "CFLAGS",
          "CMAKE_*",
          "COMPILER_PATH",
          "CONFIG_SHELL",
          "CONFIG_SITE",
          "CPATH",
          "CPP",
          "CPPFLAGS",
          "CPLUS_INCLUDE_PATH",
          "CXX",
          "CXXFLAGS",
          "C_INCLUDE_PATH",
          "GCC_*",
          "GNUMAKEFLAGS",
          "LD",
          "LDFLAGS",
          "LIBRARY_PATH",
          "M4PATH",
          "MAKE",
          "MAKEFILES",
          "MAKEFLAGS",
          "MAKELEVEL",
          "MAKEOVERRIDES",
          "MFLAGS",
          "PKG_CONFIG*",
          "SCCACHE_*"}},
        {"makes a tool for deployments or databases run something else, or work elsewhere",
         {"ANSIBLE_*",
          "AWS_CA_BUNDLE",
          "AWS_CONFIG_FILE",
          "AWS_ENDPOINT_URL*",
          "AWS_SHARED_CREDENTIALS_FILE",
          "AZURE_CONFIG_DIR",
          "BUILDKIT_*",
          "CLOUDSDK_*",
          "COMPOSE_*",
          "DOCKER_*",
          "GOOGLE_APPLICATION_CREDENTIALS",
          "HELM_*",
          "KUBECONFIG",
          "KUBECTL_*",
          "MYSQL_*",
          "PGPASSFILE",
          "PGSERVICE*",
          "PGSYSCONFDIR",
          "PODMAN_*",
          "PSQL*",
          "PULUMI_*",
          "TERRAGRUNT_*",
          "TF_CLI_*",
          "TF_DATA_DIR",
          "TF_PLUGIN_*",
          "VAULT_ADDR",
          "VAULT_CACERT",
          "VAULT_SKIP_VERIFY"}},
        {"is set by the agent itself",
         {"BRANCH", "CI", "COMMIT_HASH", "OUTPUT_*", "PLUGIN_*", "RUN_ID", "SERVICE_NAME",
          "STAGE_*", "WORKSPACE"}},
    };
    return table;
}

bool steersTheProcess(const std::string& variable)
{
    static const std::set<std::string_view> names{"PATH",
                                                  "HOME",
                                                  "GCONV_PATH",
                                                  "GETCONF_DIR",
                                                  "GLIBC_TUNABLES",
                                                  "LOCPATH",
                                                  "NLSPATH",
                                                  "NIS_PATH",
                                                  "OPENSSL_CONF",
                                                  "OPENSSL_MODULES",
                                                  "OPENSSL_ENGINES",
                                                  "ASAN_OPTIONS",
                                                  "LSAN_OPTIONS",
                                                  "TSAN_OPTIONS",
                                                  "UBSAN_OPTIONS"};
    return names.contains(variable) || variable.starts_with("LD_") ||
           variable.starts_with("MALLOC_") || variable.starts_with("STAGE_AGENT_");
}

std::string requestVariableProblem(std::string_view name)
{
    for (const auto& [what, names] : refusedVariables())
        if (std::any_of(names.begin(), names.end(),
                        [&](std::string_view pattern) { return matches(pattern, name); }))
            return "only the service's own env can set " + std::string(name) + ": it " +
                   std::string(what) + "; docs/variables.md lists all";
    return "";
}

} // namespace agent
