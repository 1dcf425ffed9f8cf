// Settings of a process that nobody calls control functions in.
#pragma once

#include <cstdlib>

namespace virtual_gpu {

inline std::size_t from_environment(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace virtual_gpu
