// What tests may ask about the past.
#pragma once

#include <cstdint>
#include <string>

namespace virtual_gpu {

struct Statistics {
    std::uint64_t launches = 0;
};

Statistics& statistics();

// The last error of a kernel, in words.
std::string& last_fault();

}  // namespace virtual_gpu
