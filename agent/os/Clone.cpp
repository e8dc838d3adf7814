#include "agent/os/Clone.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace agent
{

__attribute__((no_sanitize("thread", "address", "undefined"))) pid_t
cloneCopied(clone_args args, CloneMain childMain, void* argument)
{
    args.flags |= CLONE_CLEAR_SIGHAND;
    args.exit_signal = SIGCHLD;
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        ::_exit(childMain(argument));
    return static_cast<pid_t>(pid);
}

#if defined(__x86_64__)

namespace
{

/// The child's: what it calls is known and small, but a sanitizer makes frames several times as large.
constexpr std::size_t stackBytes = 64UL * 1024;

} // namespace

__attribute__((no_sanitize("thread", "address", "undefined"))) pid_t
cloneShared(clone_args args, CloneMain childMain, void* argument)
{
    // The child must not return through our frame, which goes on to be used: it gets a stack of its own, below
    // our frame (we are suspended, so nothing else is there), and never leaves the assembly but by exiting.
    alignas(16) std::array<unsigned char, stackBytes> stack; // NOLINT: written by the child only
    args.flags |= CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<std::uintptr_t>(stack.data());
    args.stack_size = stack.size();
    long result = SYS_clone3;
    register CloneMain entry asm("r12") = childMain;
    register void* input asm("r13") = argument;
    asm volatile("syscall\n\t"
                 "test %%rax, %%rax\n\t"
                 "jnz 1f\n\t"
                 "xor %%ebp, %%ebp\n\t" // the last frame, to whoever walks the stack
                 "mov %%r13, %%rdi\n\t"
                 "call *%%r12\n\t"
                 "mov %%eax, %%edi\n\t"
                 "mov %[exit], %%eax\n\t"
                 "syscall\n\t"
                 "hlt\n"
                 "1:"
                 : "+a"(result)
                 : "D"(&args), "S"(sizeof args), "r"(entry), "r"(input), [exit] "i"(SYS_exit_group)
                 : "rcx", "r11", "memory");
#ifdef __SANITIZE_ADDRESS__
    // The child's frames never returned, for it executed a program: what they marked as out of bounds is ours again.
    ASAN_UNPOISON_MEMORY_REGION(stack.data(), stack.size());
#endif
    if (result < 0)
    {
        errno = static_cast<int>(-result);
        return -1;
    }
    return static_cast<pid_t>(result);
}

#else

pid_t cloneShared(clone_args args, CloneMain childMain, void* argument)
{
    return cloneCopied(args, childMain, argument);
}

#endif

} // namespace agent
