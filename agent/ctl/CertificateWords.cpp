#include "agent/ctl/CertificateWords.h"

#include "agent/ctl/Text.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <vector>

#include <arpa/inet.h>

namespace agent::ctl
{

namespace
{

constexpr std::size_t mostNames = 8;

std::string day(const ASN1_TIME* time)
{
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
        return "an unknown day";
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts)};
}

std::string nameOf(const X509_NAME* name)
{
    BIO* const out = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    const std::string text = visible(std::string(data, static_cast<std::size_t>(size)));
    BIO_free(out);
    return text.empty() ? "without a name" : text;
}

std::string textOf(const ASN1_STRING* text)
{
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
            static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// `a.example, 192.0.2.1`: the names and addresses for which it is made.
std::string namesIn(X509* certificate)
{
    std::string names;
    std::size_t count = 0;
    auto* const all = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && count < mostNames; ++i)
    {
        const GENERAL_NAME* each = sk_GENERAL_NAME_value(all, i);
        std::array<char, INET6_ADDRSTRLEN> address{};
        std::string name;
        if (each->type == GEN_DNS)
            name = visible(textOf(each->d.dNSName));
        else if (each->type == GEN_IPADD)
        {
            const std::string bytes = textOf(each->d.iPAddress);
            if (::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), address.data(),
                            address.size()) != nullptr &&
                (bytes.size() == 4 || bytes.size() == 16))
                name = address.data();
        }
        if (name.empty())
            continue;
        names += (names.empty() ? "" : ", ") + name;
        ++count;
    }
    GENERAL_NAMES_free(all);
    return names;
}

} // namespace

std::string certificateWords(int error, const std::string& host, X509* certificate)
{
    const std::string who = "the certificate of " + visible(host);
    if (certificate == nullptr)
        return who + " is not valid: " + X509_verify_cert_error_string(error) +
               "\ncheck it on the agent's host: sudo stagectl doctor";
    const std::string renew =
        "\nrenew it on the agent's host (http.tls_certificate), then: systemctl reload stage-agent";
    switch (error)
    {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return who + " expired on " + day(X509_get0_notAfter(certificate)) + renew;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return who + " is not valid before " + day(X509_get0_notBefore(certificate)) +
               "\ncheck this host's clock (timedatectl), and that of the host which made it";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    {
        const std::string names = namesIn(certificate);
        return who + (names.empty() ? " names no host" : " is for " + names) +
               "\nuse the name that it is for (--agent https://NAME:PORT), or a certificate for " +
               visible(host);
    }
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return who + " is self-signed, and not one that is trusted here" +
               "\nif it is the agent's: copy it from the agent's host (http.tls_certificate), then "
               "--ca-file FILE, or ca-file = FILE in ~/.config/stagectl";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return who + ": its issuer (" + nameOf(X509_get_issuer_name(certificate)) +
               ") is not known here" +
               "\ngive the issuer's certificate: --ca-file FILE, or ca-file = FILE in "
               "~/.config/stagectl; if the issuer is known, the agent's file lacks the "
               "certificates between it and the agent's own";
    default:
        return who + " is not valid: " + X509_verify_cert_error_string(error) +
               "\ncheck it on the agent's host: sudo stagectl doctor";
    }
}

} // namespace agent::ctl
