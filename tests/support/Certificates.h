#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

using EVP_PKEY = struct evp_pkey_st;
using X509 = struct x509_st;

namespace agent::test
{

/// What a certificate says.
struct CertificateRequest
{
    std::string name = "127.0.0.1";                     ///< its common name
    std::vector<std::string> hosts = {"127.0.0.1"};     ///< DNS names and addresses
    std::chrono::seconds from = -std::chrono::hours(1); ///< relative to now
    std::chrono::seconds until = std::chrono::hours(24 * 90);
};

/// A certificate with its key (EC P-256), made by the OpenSSL library.
class Certificate
{
public:
    /// Signed by `issuer`, or by itself.
    explicit Certificate(const CertificateRequest& request, const Certificate* issuer = nullptr,
                         bool isAuthority = false);
    ~Certificate();
    Certificate(Certificate&&) noexcept;

    /// An authority.
    static Certificate authority(const std::string& name);

    [[nodiscard]] std::string pem() const;
    [[nodiscard]] std::string keyPem(const std::string& passphrase = "") const;

    /// Writes NAME.pem and NAME.key (mode 0600).
    void write(const std::filesystem::path& folder, const std::string& name) const;

private:
    struct Parts;

    std::unique_ptr<Parts> _parts;
};

/// Writes a file in one step, as a renewal does. `mode` of the new one.
void replaceFile(const std::filesystem::path& file, const std::string& text, int mode = 0600);

} // namespace agent::test
