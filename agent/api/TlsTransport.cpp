#include "agent/api/TlsTransport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>

#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t recordSize = SSL3_RT_MAX_PLAIN_LENGTH;

bool waits(int error)
{
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

} // namespace

TlsTransport::TlsTransport(FileDescriptor socket, SslSession session)
    : Transport(std::move(socket)), _session(std::move(session))
{
}

Transport::Handshake TlsTransport::handshake()
{
    ERR_clear_error(); // the queue is the thread's: others' errors would be taken for ours
    const int result = SSL_do_handshake(_session.get());
    if (result == 1)
        return Handshake::Done;
    if (waits(SSL_get_error(_session.get(), result)))
        return Handshake::Waits;
    _broken = true;
    const bool plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
    ERR_clear_error();
    return plain ? Handshake::Plain : Handshake::Failed;
}

Transport::Moved TlsTransport::receive(char* buffer, std::size_t size)
{
    Moved moved;
    while (!_broken && moved.bytes < size)
    {
        ERR_clear_error();
        std::size_t got = 0;
        const int result =
            SSL_read_ex(_session.get(), buffer + moved.bytes, size - moved.bytes, &got);
        moved.bytes += got;
        if (result == 1)
            continue;
        const int error = SSL_get_error(_session.get(), result);
        moved.blocked = waits(error);
        moved.ended = !moved.blocked;
        _broken = moved.ended && error != SSL_ERROR_ZERO_RETURN;
        return moved;
    }
    moved.ended = _broken;
    return moved;
}

Transport::Moved TlsTransport::write(const char* bytes, std::size_t size)
{
    if (_broken)
        return {.ended = true};
    ERR_clear_error();
    Moved moved;
    const int result = SSL_write_ex(_session.get(), bytes, size, &moved.bytes);
    if (result == 1)
        return moved;
    moved.blocked = waits(SSL_get_error(_session.get(), result));
    moved.ended = _broken = !moved.blocked;
    return moved;
}

Transport::Moved TlsTransport::send(std::string_view first, std::string_view second)
{
    if (first.empty() || second.empty() || first.size() >= recordSize)
        return first.empty() ? write(second.data(), second.size())
                             : write(first.data(), first.size());
    // Head and body in one record, and so mostly in one packet.
    std::array<char, recordSize> record;
    const std::size_t rest = std::min(second.size(), record.size() - first.size());
    std::copy(first.begin(), first.end(), record.begin());
    std::copy_n(second.begin(), rest, record.begin() + static_cast<std::ptrdiff_t>(first.size()));
    return write(record.data(), first.size() + rest);
}

Transport::Moved TlsTransport::sendFile(int file, std::int64_t offset, std::size_t size)
{
    std::array<char, recordSize> record;
    const ssize_t got = ::pread(file, record.data(), std::min(size, record.size()), offset);
    return got > 0 ? write(record.data(), static_cast<std::size_t>(got)) : Moved{};
}

bool TlsTransport::hasUnread() const
{
    return SSL_has_pending(_session.get()) == 1 || Transport::hasUnread();
}

void TlsTransport::finish()
{
    ERR_clear_error();
    if (!_broken && SSL_in_init(_session.get()) == 0)
        SSL_shutdown(_session.get());
    Transport::finish();
}

} // namespace agent
