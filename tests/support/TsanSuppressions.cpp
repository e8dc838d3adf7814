// ThreadSanitizer does not see the atomics inside libstdc++.so, so an exception that one thread threw
// and another caught (std::promise::set_exception) looks like a race on its reference count.
// Its library finds it only where it is visible.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name that it looks for
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions()
{
    return "race:std::__exception_ptr::exception_ptr::_M_release\n";
}
