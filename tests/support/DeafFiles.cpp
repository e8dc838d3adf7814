#include "tests/support/DeafFiles.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace agent::test
{

DeafFiles::DeafFiles(const std::filesystem::path& folder)
    : _folder(folder),
      _device(::open("/dev/fuse", O_RDWR | O_CLOEXEC)),
      _end(::eventfd(0, EFD_CLOEXEC))
{
    std::filesystem::create_directories(folder);
    const std::string options =
        "fd=" + std::to_string(_device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    _mounted = _device >= 0 &&
               ::mount("deaf", folder.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
    if (_mounted)
        _thread = std::thread([this] { serve(); });
}

DeafFiles::~DeafFiles()
{
    if (_thread.joinable())
    {
        const std::uint64_t one = 1;
        if (::write(_end, &one, sizeof one) == sizeof one)
            _thread.join();
    }
    // Whoever waits yet gets an error now.
    ::close(_device);
    ::close(_end);
    if (_mounted)
        ::umount2(_folder.c_str(), MNT_DETACH);
}

std::size_t DeafFiles::waiting() const
{
    const std::lock_guard lock(_mutex);
    return _waiting.size();
}

void DeafFiles::release()
{
    std::vector<std::uint64_t> waiting;
    {
        const std::lock_guard lock(_mutex);
        _answers = true;
        waiting.swap(_waiting);
    }
    for (const auto request : waiting)
        answer(request, ENOENT);
}

void DeafFiles::serve()
{
    std::vector<char> buffer(256UL * 1024);
    pollfd events[] = {{.fd = _device, .events = POLLIN, .revents = 0},
                       {.fd = _end, .events = POLLIN, .revents = 0}};
    while (::poll(events, 2, -1) >= 0 || errno == EINTR)
    {
        if (events[1].revents != 0)
            return;
        const ssize_t size = ::read(_device, buffer.data(), buffer.size());
        if (size < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        fuse_in_header request{};
        if (size < static_cast<ssize_t>(sizeof request))
            return;
        std::memcpy(&request, buffer.data(), sizeof request);
        if (request.opcode == FUSE_INIT)
        {
            fuse_init_out init{};
            init.major = FUSE_KERNEL_VERSION;
            init.minor = FUSE_KERNEL_MINOR_VERSION;
            init.max_write = 4096;
            answer(request.unique, 0, &init, sizeof init);
        }
        else if (request.opcode == FUSE_GETATTR)
        {
            fuse_attr_out attributes{};
            attributes.attr.ino = FUSE_ROOT_ID;
            attributes.attr.mode = S_IFDIR | 0755;
            attributes.attr.nlink = 2;
            answer(request.unique, 0, &attributes, sizeof attributes);
        }
        else if (request.opcode == FUSE_LOOKUP)
        {
            std::unique_lock lock(_mutex);
            if (!_answers)
            {
                _waiting.push_back(request.unique);
                continue;
            }
            lock.unlock();
            answer(request.unique, ENOENT);
        }
        else if (request.opcode != FUSE_FORGET && request.opcode != FUSE_BATCH_FORGET &&
                 request.opcode != FUSE_INTERRUPT)
            answer(request.unique, ENOSYS);
    }
}

void DeafFiles::answer(std::uint64_t request, int error, const void* data, std::size_t size) const
{
    fuse_out_header header{.len = static_cast<std::uint32_t>(sizeof(fuse_out_header) + size),
                           .error = -error,
                           .unique = request};
    const iovec parts[] = {{.iov_base = &header, .iov_len = sizeof header},
                           {.iov_base = const_cast<void*>(data), .iov_len = size}};
    // One that was given up meanwhile is not known any more.
    [[maybe_unused]] const ssize_t written = ::writev(_device, parts, size > 0 ? 2 : 1);
}

} // namespace agent::test
