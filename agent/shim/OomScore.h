#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>

namespace agent
{

/// The shim's oom_score_adj, which is lower than its command's is to be. A command can't set its own: until its exec it is as
/// little dumpable as the shim, and its file in /proc belongs to root then. So it inherits it: the shim has it while it
/// makes the command. Source: proc_pid_oom_score_adj(5), PR_SET_DUMPABLE(2const).
class OomScore
{
public:
    /// The one of this process. To be called first while the process is still dumpable: it keeps the file open.
    static OomScore& ours();

    /// Gives us the score of a command for as long as it lives. A score that we may not take back stays: it is the
    /// commands' then, and ours.
    class OfACommand
    {
    public:
        OfACommand() { ours().set("0"); }
        ~OfACommand() { ours().set(ours()._own); }
        OfACommand(const OfACommand&) = delete;
        OfACommand& operator=(const OfACommand&) = delete;
    };

private:
    OomScore();
    void set(const std::string& score) const;

    FileDescriptor _file;
    std::string _own;
};

} // namespace agent
