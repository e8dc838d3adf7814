#pragma once

#include <cstdlib>
#include <string>

namespace agent
{

/// Sets a variable of this process, or takes it away, while it lives.
class Variable
{
public:
    explicit Variable(const char* name) : _name(name)
    {
        const char* before = std::getenv(name);
        _had = before != nullptr;
        _before = _had ? before : "";
        ::unsetenv(name);
    }
    Variable(const char* name, const std::string& value) : Variable(name)
    {
        ::setenv(name, value.c_str(), 1);
    }
    ~Variable()
    {
        if (_had)
            ::setenv(_name, _before.c_str(), 1);
        else
            ::unsetenv(_name);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

    void set(const std::string& value) const { ::setenv(_name, value.c_str(), 1); }

private:
    const char* _name;
    bool _had = false;
    std::string _before;
};

} // namespace agent
