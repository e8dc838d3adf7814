#include "tests/support/Certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <random>
#include <stdexcept>

namespace agent::test
{

namespace
{

std::string takeText(BIO* out)
{
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(out);
    return text;
}

std::string alternativeNames(const std::vector<std::string>& hosts)
{
    std::string names;
    for (const auto& host : hosts)
    {
        in6_addr ignored{};
        const bool isAddress = ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
                               ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
        names += (names.empty() ? "" : ",") + std::string(isAddress ? "IP:" : "DNS:") + host;
    }
    return names;
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    if (extension == nullptr)
        throw std::runtime_error("no extension " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

} // namespace

struct Certificate::Parts
{
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ~Parts()
    {
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
};

Certificate::Certificate(const CertificateRequest& request, const Certificate* issuer,
                         bool isAuthority)
    : _parts(std::make_unique<Parts>())
{
    X509* const made = _parts->certificate;
    const Parts& signer = issuer != nullptr ? *issuer->_parts : *_parts;
    X509_set_version(made, X509_VERSION_3);
    std::random_device random;
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), (std::uint64_t{random()} << 31) | 1);
    const std::time_t now = std::time(nullptr);
    ASN1_TIME_set(X509_getm_notBefore(made), now + request.from.count());
    ASN1_TIME_set(X509_getm_notAfter(made), now + request.until.count());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made, X509_get_subject_name(signer.certificate));
    X509_set_pubkey(made, _parts->key);
    extend(made, signer.certificate, NID_basic_constraints,
           isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!request.hosts.empty())
        extend(made, signer.certificate, NID_subject_alt_name, alternativeNames(request.hosts));
    if (X509_sign(made, signer.key, EVP_sha256()) == 0)
        throw std::runtime_error("a certificate was not signed");
}

Certificate::~Certificate() = default;
Certificate::Certificate(Certificate&&) noexcept = default;

Certificate Certificate::authority(const std::string& name)
{
    return Certificate({.name = name, .hosts = {}}, nullptr, true);
}

std::string Certificate::pem() const
{
    BIO* const out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, _parts->certificate);
    return takeText(out);
}

std::string Certificate::keyPem(const std::string& passphrase) const
{
    BIO* const out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, _parts->key, passphrase.empty() ? nullptr : EVP_aes_128_cbc(),
                             reinterpret_cast<const unsigned char*>(passphrase.data()),
                             static_cast<int>(passphrase.size()), nullptr, nullptr);
    return takeText(out);
}

void Certificate::write(const std::filesystem::path& folder, const std::string& name) const
{
    replaceFile(folder / (name + ".pem"), pem(), 0644);
    replaceFile(folder / (name + ".key"), keyPem());
}

void replaceFile(const std::filesystem::path& file, const std::string& text, int mode)
{
    const std::filesystem::path temporary = file.string() + ".new";
    std::ofstream(temporary, std::ios::trunc) << text;
    ::chmod(temporary.c_str(), static_cast<mode_t>(mode));
    std::filesystem::rename(temporary, file);
}

} // namespace agent::test
