#include "agent/doctor/Checks.h"
#include "agent/tls/ServerCertificate.h"

#include <chrono>
#include <ctime>

namespace agent::doctor
{

namespace
{

constexpr std::int64_t daySeconds = 86'400;

// Authorities that renew by themselves do so 30 days before the end.
constexpr std::int64_t warnDays = 30;

std::string day(std::int64_t seconds)
{
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &parts)};
}

} // namespace

void checkCertificate(const Context& context, Findings& findings)
{
    const Config& config = context.setup.config;
    const std::string file = config.tlsCertificate.string();
    const std::string renew = "renew it, then: systemctl reload stage-agent";
    if (file.empty())
        return;
    try
    {
        const ServerCertificate certificate({config.tlsCertificate, config.tlsKey});
        const auto now = static_cast<std::int64_t>(std::time(nullptr));
        const std::int64_t left = certificate.expiresAt() - now;
        if (left <= 0)
            findings.fail("certificate", file + " expired on " + day(certificate.expiresAt()),
                          renew);
        else if (certificate.validFrom() > now)
            findings.fail("certificate",
                          file + " is not valid before " + day(certificate.validFrom()),
                          "check the clock of this host, and of the one that made it");
        else if (left < warnDays * daySeconds)
            findings.warn("certificate",
                          file + " expires on " + day(certificate.expiresAt()) + ", in " +
                              std::to_string(left / daySeconds) + " days",
                          renew);
        else
            findings.ok("certificate", file + " is valid until " + day(certificate.expiresAt()));
    }
    catch (const CertificateError& wrong)
    {
        findings.fail("certificate", wrong.what(),
                      "correct it, then: systemctl reload stage-agent, or restart it");
    }
}

} // namespace agent::doctor
