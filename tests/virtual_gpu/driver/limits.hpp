// What a device of a compute capability can do, after the table of the CUDA C++ Programming Guide.
#pragma once

#include <cuda.h>

#include "context.hpp"

namespace virtual_gpu {

constexpr int max_grid_x = 2147483647;
constexpr int max_grid_yz = 65535;
constexpr int max_block_z = 64;
constexpr int default_shared = 48 << 10;  // per block, without asking for more

int max_shared_per_block(const Device& device);
int shared_per_processor(const Device& device);
int threads_per_processor(const Device& device);
int blocks_per_processor(const Device& device);
int device_attribute(const Device& device, CUdevice_attribute attribute);

}  // namespace virtual_gpu
