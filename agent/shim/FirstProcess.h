#pragma once

namespace agent
{

/// What `stage-shim --first-process` does: it is the first process of a sandbox's pid namespace, executes the
/// command there, waits for it, reports (Sandbox.h) and exits, upon which the kernel kills what is left inside.
/// Returns its exit code, which says nothing.
int runFirstProcess();

} // namespace agent
