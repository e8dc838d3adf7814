#pragma once

#include <stdexcept>

namespace agent
{

/// Why nothing of the attempt is kept; the text is for people.
struct NotKept: std::runtime_error
{
    using std::runtime_error::runtime_error;
};

} // namespace agent
