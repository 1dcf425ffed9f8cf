// Devices and the driver as a whole.
#include <cstdio>
#include <cstring>

#include "api.hpp"
#include "limits.hpp"

using namespace virtual_gpu;

extern "C" {

CUresult cuInit(unsigned flags) {
    Lock lock;
    REQUIRE(flags == 0, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(driver().device_count > 0, CUDA_ERROR_NO_DEVICE);
    driver().initialized = true;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
    Lock lock;
    REQUIRE(driver().initialized, CUDA_ERROR_NOT_INITIALIZED);
    *count = driver().device_count;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    Lock lock;
    REQUIRE(driver().initialized, CUDA_ERROR_NOT_INITIALIZED);
    REQUIRE(find_device(ordinal) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
    REQUIRE(find_device(device) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    std::snprintf(name, length, "Virtual GPU %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
    REQUIRE(find_device(device) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    std::memset(uuid, 0, sizeof *uuid);
    uuid->bytes[sizeof uuid->bytes - 1] = static_cast<char>(device + 1);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
    REQUIRE(find_device(device) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    std::snprintf(text, length, "0000:%02X:00.0", device + 1);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* text) {
    unsigned bus = 0;
    REQUIRE(std::sscanf(text, "0000:%x:00.0", &bus) == 1, CUDA_ERROR_INVALID_VALUE);
    return cuDeviceGet(device, static_cast<int>(bus) - 1);
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
    const Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *major = found->major;
    *minor = found->minor;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
    const Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *bytes = found->memory_bytes;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
    const Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *value = device_attribute(*found, attribute);
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
    REQUIRE(find_device(device) != nullptr && find_device(peer) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *can = device != peer;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice source, CUdevice target) {
    REQUIRE(find_device(source) != nullptr && find_device(target) != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *value = attribute == CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED && source != target;
    return CUDA_SUCCESS;
}

// Of cudaProfiler.h, which some header packages lack.
CUresult cuProfilerInitialize(const char*, const char*, int) { return CUDA_SUCCESS; }
CUresult cuProfilerStart() { return CUDA_SUCCESS; }
CUresult cuProfilerStop() { return CUDA_SUCCESS; }

}  // extern "C"
