#pragma once

#include "agent/api/Transport.h"
#include "agent/tls/TlsContext.h"

namespace agent
{

/// A connection whose bytes are encrypted. Reading may wait until the kernel takes bytes, and writing until
/// some arrive: so each event is a reason to try both.
/// Threads: one at a time.
class TlsTransport final: public Transport
{
public:
    TlsTransport(FileDescriptor socket, SslSession session);

    using Transport::send;

    Handshake handshake() override;
    [[nodiscard]] bool mixesDirections() const override { return true; }
    Moved receive(char* buffer, std::size_t size) override;

    /// A call that was blocked must be repeated with the same bytes, or more behind them.
    Moved send(std::string_view first, std::string_view second) override;

    /// Reads and encrypts one record's worth, 16 KiB.
    Moved sendFile(int file, std::int64_t offset, std::size_t size) override;
    [[nodiscard]] bool hasUnread() const override;

    /// Tells that nothing was cut off (close_notify), then as the plain one.
    void finish() override;

private:
    Moved write(const char* bytes, std::size_t size);

    SslSession _session;
    bool _broken = false; ///< by an error after which OpenSSL must not be asked again
};

} // namespace agent
