#pragma once

#include <functional>

namespace agent::test
{

/// A view of the mounts that is this thread's and its children's own: what is mounted in it is gone with
/// the last of them, however the test ends.
class MountNamespace
{
public:
    MountNamespace();

    /// Back in the view from before.
    ~MountNamespace();
    MountNamespace(const MountNamespace&) = delete;
    MountNamespace& operator=(const MountNamespace&) = delete;

    /// Without root there is none.
    [[nodiscard]] bool own() const { return _own; }

private:
    int _before = -1;
    bool _own = false;
};

/// Plays `game` where no cgroup is to be seen. Where cgroup2 can't be taken away it says so and does not.
void withoutCgroups(const std::function<void()>& game);

} // namespace agent::test
