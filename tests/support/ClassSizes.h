#pragma once

#include <string>
#include <vector>

namespace agent
{

struct ClassSize
{
    std::string name;
    int functions =
        0;        ///< public and private; without deleted and defaulted ones and nested classes
    int line = 0; ///< where it begins
};

/// The classes and structs that `code` defines, nested ones too, each with the member functions that it declares.
/// `code` is C++ without comments and without what stands in literals: see takeApart().
std::vector<ClassSize> classSizes(const std::string& code);

} // namespace agent
