#pragma once

#include "agent/api/Framing.h"
#include "agent/api/Http.h"
#include "agent/api/Transport.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace agent
{

/// Sends one answer, as far as the client takes it, and keeps the place: ready bytes, part of a file, or
/// pages that are made one at a time.
/// Threads: one at a time.
class AnswerWriter
{
public:
    enum class Progress
    {
        Sent,     ///< all of it
        Blocked,  ///< the client takes no more now
        More,     ///< it takes more, and others shall have their turn
        PageDue,  ///< the next page is to be given to addPage()
        HandOver, ///< the head was sent: the connection goes to whom the answer names
        Broken,   ///< the client is gone, or the file is shorter than it was
    };

    /// `keepAlive`: what client and server agreed on; an answer without a length on HTTP/1.0 ends it.
    AnswerWriter(Response response, const Head& head, bool keepAlive);
    AnswerWriter(const AnswerWriter&) = delete;
    AnswerWriter& operator=(const AnswerWriter&) = delete;

    Progress send(Transport& transport);

    /// After PageDue. `last`: nothing follows.
    void addPage(std::string bytes, bool last);

    /// What makes the pages; null for other answers. Shared: a worker uses it while the connection waits.
    [[nodiscard]] const std::shared_ptr<Response::Pages>& pages() const { return _response.pages; }
    [[nodiscard]] const Response& response() const { return _response; }
    [[nodiscard]] bool keepAlive() const { return _keepAlive; }

    /// Bytes that this answer keeps in memory.
    [[nodiscard]] std::size_t held() const;

    /// Bytes given to the kernel so far.
    [[nodiscard]] std::uint64_t sent() const { return _sent; }

private:
    bool sendBytes(Transport& transport, Progress& progress);
    bool sendFile(Transport& transport, Progress& progress);

    Response _response;
    bool _keepAlive;
    bool _chunked = false;
    bool _bodyless; ///< HEAD, 204, 304
    std::string _head;
    std::string _page;
    std::string_view _first;  ///< of _head, not sent yet
    std::string_view _second; ///< of the body or _page, not sent yet
    std::int64_t _fileOffset = 0;
    std::int64_t _fileLeft = 0;
    bool _pagesLeft = false;
    std::uint64_t _sent = 0;
};

} // namespace agent
