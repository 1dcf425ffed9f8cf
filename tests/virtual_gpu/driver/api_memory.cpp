// Memory: to allocate it, to free it, to know of it.
#include <algorithm>

#include "api.hpp"

using namespace virtual_gpu;

namespace {

CUresult allocate_on_device(CUdeviceptr* pointer, std::size_t size) {
    CURRENT_CONTEXT(context);
    REQUIRE(size > 0, CUDA_ERROR_INVALID_VALUE);
    Device& device = *context->device;
    REQUIRE(size <= device.memory_bytes - std::min(device.used_bytes, device.memory_bytes), CUDA_ERROR_OUT_OF_MEMORY);
    const Allocation* made = memory().allocate(size, context, Allocation::Kind::device);
    REQUIRE(made != nullptr, CUDA_ERROR_OUT_OF_MEMORY);
    device.used_bytes += size;
    *pointer = made->address;
    return CUDA_SUCCESS;
}

// The allocation that starts here and is of this kind.
const Allocation* starting_at(std::uintptr_t address, Allocation::Kind kind) {
    const Allocation* found = memory().find(address, 0);
    return found != nullptr && found->address == address && found->kind == kind ? found : nullptr;
}

// Freed memory may still be in use by what is queued: that runs first, as CUDA has it.
CUresult free_memory(std::uintptr_t address, Allocation::Kind kind) {
    const Allocation* found = starting_at(address, kind);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_VALUE);
    Context& context = *found->context;
    drain_all();
    if (kind == Allocation::Kind::device) context.device->used_bytes -= found->size;
    memory().remove(address);
    return CUDA_SUCCESS;
}

std::uintptr_t number(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

CUresult pointer_attribute(void* data, CUpointer_attribute attribute, const Allocation& allocation) {
    switch (attribute) {
        case CU_POINTER_ATTRIBUTE_CONTEXT: *static_cast<CUcontext*>(data) = to_handle(allocation.context); break;
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
            *static_cast<unsigned*>(data) = allocation.on_device() ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
            break;
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int*>(data) = allocation.context->device->index; break;
        case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<int*>(data) = 0; break;
        case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *static_cast<std::uintptr_t*>(data) = allocation.address; break;
        case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *static_cast<std::size_t*>(data) = allocation.size; break;
        default: return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuMemAlloc(CUdeviceptr* pointer, size_t size) {
    Lock lock;
    return allocate_on_device(pointer, size);
}

CUresult cuMemAllocPitch(CUdeviceptr* pointer, size_t* pitch, size_t width, size_t height, unsigned) {
    constexpr std::size_t unit = 512;
    Lock lock;
    *pitch = (width + unit - 1) / unit * unit;
    return allocate_on_device(pointer, *pitch * height);
}

CUresult cuMemFree(CUdeviceptr pointer) {
    Lock lock;
    return pointer == 0 ? CUDA_SUCCESS : free_memory(pointer, Allocation::Kind::device);
}

CUresult cuMemGetInfo(size_t* free, size_t* total) {
    Lock lock;
    CURRENT_CONTEXT(context);
    const Device& device = *context->device;
    *total = device.memory_bytes;
    *free = device.memory_bytes - std::min(device.used_bytes, device.memory_bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange(CUdeviceptr* base, size_t* size, CUdeviceptr pointer) {
    Lock lock;
    const Allocation* found = memory().find(pointer, 0);
    REQUIRE(found != nullptr && found->on_device(), CUDA_ERROR_NOT_FOUND);
    if (base != nullptr) *base = found->address;
    if (size != nullptr) *size = found->size;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** pointer, size_t size, unsigned) {
    Lock lock;
    CURRENT_CONTEXT(context);
    REQUIRE(size > 0, CUDA_ERROR_INVALID_VALUE);
    const Allocation* made = memory().allocate(size, context, Allocation::Kind::pinned);
    REQUIRE(made != nullptr, CUDA_ERROR_OUT_OF_MEMORY);
    *pointer = reinterpret_cast<void*>(made->address);
    return CUDA_SUCCESS;
}

CUresult cuMemAllocHost(void** pointer, size_t size) { return cuMemHostAlloc(pointer, size, 0); }

CUresult cuMemFreeHost(void* pointer) {
    Lock lock;
    return free_memory(number(pointer), Allocation::Kind::pinned);
}

CUresult cuMemHostRegister(void* pointer, size_t size, unsigned) {
    Lock lock;
    CURRENT_CONTEXT(context);
    REQUIRE(size > 0, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(memory().find(pointer, 1) == nullptr, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    memory().add(pointer, size, context, Allocation::Kind::registered);
    return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void* pointer) {
    Lock lock;
    const CUresult result = free_memory(number(pointer), Allocation::Kind::registered);
    return result == CUDA_ERROR_INVALID_VALUE ? CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED : result;
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr* device, void* pointer, unsigned) {
    Lock lock;
    REQUIRE(memory().pinned(pointer, 0), CUDA_ERROR_INVALID_VALUE);
    *device = number(pointer);
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned* flags, void* pointer) {
    Lock lock;
    REQUIRE(memory().pinned(pointer, 0), CUDA_ERROR_INVALID_VALUE);
    *flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
    return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr pointer) {
    Lock lock;
    const Allocation* found = memory().find(pointer, 0);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_VALUE);
    return pointer_attribute(data, attribute, *found);
}

}  // extern "C"
