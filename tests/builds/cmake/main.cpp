// What the sanitizers need of their surroundings: much address space, /proc/self/maps, and at the end ptrace.
#include <cstdlib>
#include <thread>
#include <vector>

int main()
{
    std::vector<int> numbers(100'000, 1);
    std::thread([&] { numbers[7] = 2; }).join();
    return numbers[7] == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
