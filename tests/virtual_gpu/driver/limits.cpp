#include "limits.hpp"

namespace virtual_gpu {

namespace {

constexpr int processors = 4;  // few, so that grids of several waves stay small
constexpr int registers = 65536;
constexpr int kilobyte = 1 << 10;

}  // namespace

int shared_per_processor(const Device& device) {
    switch (10 * device.major + device.minor) {
        case 75: return 64 * kilobyte;
        case 80: case 87: return 164 * kilobyte;
        case 86: case 89: case 120: case 121: return 100 * kilobyte;
        default: return 228 * kilobyte;
    }
}

int max_shared_per_block(const Device& device) {
    // The system keeps a kilobyte of every block for itself since compute capability 8.0.
    return shared_per_processor(device) - (device.major >= 8 ? kilobyte : 0);
}

int threads_per_processor(const Device& device) {
    switch (10 * device.major + device.minor) {
        case 75: return 1024;
        case 86: case 87: case 89: case 120: case 121: return 1536;
        default: return 2048;
    }
}

int blocks_per_processor(const Device& device) {
    switch (10 * device.major + device.minor) {
        case 75: case 86: case 87: return 16;
        case 89: case 120: case 121: return 24;
        default: return 32;
    }
}

int device_attribute(const Device& device, CUdevice_attribute attribute) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return max_block_z;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return max_grid_x;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return max_grid_yz;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return default_shared;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return max_shared_per_block(device);
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return shared_per_processor(device);
        case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: return device.major >= 8 ? kilobyte : 0;
        case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: return 64 * kilobyte;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
        case CU_DEVICE_ATTRIBUTE_MAX_PITCH: return max_grid_x;
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return registers;
        case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
        case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return 1000000;  // kHz
        case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 64;
        case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 4096 * kilobyte;
        case CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT: return 512;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return processors;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return threads_per_processor(device);
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return blocks_per_processor(device);
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return device.major;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return device.minor;
        case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: return device.index + 1;
        case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
        case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP:
        case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
        case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
        case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
        case CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED:
        case CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED: return 1;
        default: return 0;
    }
}

}  // namespace virtual_gpu
