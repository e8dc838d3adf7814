#pragma once

namespace agent
{

class RecordSession;

/// A part of a transaction that can be undone by itself. One at a time.
class Savepoint
{
public:
    explicit Savepoint(RecordSession& connection);
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;

    /// Undoes what was changed since it was made.
    void rollBack();

    /// Leaves what was changed to the transaction.
    void release();

private:
    RecordSession& _connection;
};

} // namespace agent
