// Where in a .cu file machine code comes from.
#pragma once

#include <string>

#include "module.hpp"

namespace virtual_gpu {

// "span.cuh:5, file.cu:12", from the inside of inlined functions outwards, or empty where the module or the code does not
// tell. `code` is where a call returns to.
std::string source_lines(const Module& module, const void* code);

}  // namespace virtual_gpu
