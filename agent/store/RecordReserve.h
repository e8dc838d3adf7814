#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <filesystem>

namespace agent
{

class RecordSession;

/// Blocks that belong to the record's own files before they are needed, so that it can be written and opened
/// where a stage has filled the disk: docs/durability.md, "A full disk". The write-ahead log and its index never
/// become shorter than this, and an orderly stop keeps them beside the record, under names that SQLite does not know.
/// Without room for them (the log: 16 MiB beside it) everything works as far as the disk goes.
/// Threads: one at a time.
class RecordReserve
{
public:
    explicit RecordReserve(const std::filesystem::path& record);

    /// Whether the last daemon left changes in the write-ahead log: it did not close the record.
    [[nodiscard]] bool logHoldsChanges() const;

    /// Puts log and index where SQLite uses them. To be called before the record is opened; it is not empty.
    void bringOut();

    /// Puts them away again, unless another process uses them. To be called when the record was closed and holds all
    /// that the log did.
    void putAway();

    /// Makes an empty file for the record, where it makes a difference how.
    void prepareRecord() const;

private:
    void bringOutLog() const;
    void bringOutIndex();

    std::filesystem::path _record;
    std::filesystem::path _log;
    std::filesystem::path _index;
    std::filesystem::path _keptLog;
    std::filesystem::path _keptIndex;
    FileDescriptor _indexLock; ///< closed when SQLite has closed its own: that would drop its locks
};

/// Free pages in the record's file, for what grows while the disk is full.
/// Threads: that of the writer.
class FreePages
{
public:
    /// Takes pages where fewer than 1 MiB are free. They are free after release(), in a later transaction: pages
    /// that are freed by the transaction which made them are never written, and would be holes in the file.
    static void take(RecordSession& writer);

    /// Frees what was taken. To be called before what may need it. Returns whether there was anything: then a checkpoint
    /// after the commit brings the pages into the file.
    static bool release(RecordSession& writer);
};

} // namespace agent
