#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/wire/Order.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

namespace agent
{

/// stage-collector at work on the files of a stage whose processes are gone: docs/artifacts.md.
class CollectorProcess
{
public:
    /// `order`: with `collect`. `folder`: the attempt's. `artifacts`: whether the end of the stage is one after which they
    /// are kept.
    CollectorProcess(const Order& order, std::string folder, bool artifacts)
        : _order(order), _folder(std::move(folder)), _artifacts(artifacts)
    {
    }

    /// Runs it to its end. `signals`: readable when a child has ended or TERM has come; then `stopAsked` is called,
    /// which takes what is in there and returns whether it shall end.
    /// Returns its answer; nothing where it gave none: failure() says why.
    /// Blocks: for collect.timeoutMs at most, and two seconds for the kernel to end it.
    std::optional<Collected> run(const FileDescriptor& signals,
                                 const std::function<bool()>& stopAsked);

    [[nodiscard]] const std::string& failure() const { return _failure; }

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] std::optional<int> await(pid_t pid, const FileDescriptor& signals,
                                           const std::function<bool()>& stopAsked);

    const Order& _order;
    std::string _folder;
    bool _artifacts;
    std::string _failure;
};

/// Has the files of the stage collected where its order wants that after such an end, and fills in what comes of it. The end is
/// judged, and no process of the stage is left. The rest: as CollectorProcess.
void collectFiles(Outcome& outcome, const Order& order, const std::string& folder,
                  const FileDescriptor& signals, const std::function<bool()>& stopAsked);

} // namespace agent
