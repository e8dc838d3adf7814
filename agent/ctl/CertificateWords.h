#pragma once

#include <string>

using X509 = struct x509_st;

namespace agent::ctl
{

/// Returns what is wrong with a certificate and, after a line break, the way out.
/// `error`: X509_V_ERR_… of OpenSSL; `host`: as asked for; `certificate`: the one that is wrong, may be null.
std::string certificateWords(int error, const std::string& host, X509* certificate);

} // namespace agent::ctl
