#include "agent/collect/ContentHash.h"

#include "agent/os/Sha256.h"

#include <algorithm>
#include <array>
#include <new>

#include <openssl/evp.h>

namespace agent
{

void ContentHash::Free::operator()(evp_md_ctx_st* context) const
{
    ::EVP_MD_CTX_free(context);
}

ContentHash::ContentHash() : _context(::EVP_MD_CTX_new())
{
    // Looking it up takes longer than to hash a small file.
    static EVP_MD* const sha256 = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (!_context || ::EVP_DigestInit_ex(_context.get(), sha256, nullptr) != 1)
        throw std::bad_alloc();
}

void ContentHash::update(std::string_view bytes)
{
    ::EVP_DigestUpdate(_context.get(), bytes.data(), bytes.size());
}

void ContentHash::updateZeros(std::size_t count)
{
    static constexpr std::array<char, 65536> zeros{};
    while (count > 0)
    {
        const std::size_t part = std::min(count, zeros.size());
        update({zeros.data(), part});
        count -= part;
    }
}

std::string ContentHash::digest()
{
    Sha256::Digest digest{};
    ::EVP_DigestFinal_ex(_context.get(), digest.data(), nullptr);
    return toHex(digest);
}

} // namespace agent
