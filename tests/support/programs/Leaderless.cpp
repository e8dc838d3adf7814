// leaderless [FILE]: its first thread ends, so that /proc shows a zombie, and another goes on: it asks for FILE,
// without it it sleeps until it is ended.
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

void* goOn(void* file)
{
    struct stat info = {};
    if (file != nullptr)
        ::stat(static_cast<const char*>(file), &info);
    else
        ::pause();
    return nullptr;
}

} // namespace

int main(int argc, char** argv)
{
    pthread_t thread{};
    ::pthread_create(&thread, nullptr, goOn, argc > 1 ? argv[1] : nullptr);
    ::pthread_exit(nullptr);
}
