// Copies and fills in one dimension, and between devices.
#include <algorithm>
#include <cstring>

#include "api.hpp"

using namespace virtual_gpu;

namespace {

void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(address); }

bool known(CUdeviceptr address, std::size_t bytes) { return memory().find(address, bytes) != nullptr; }

// Copies in a stream; both sides were checked.
CUresult enqueue_copy(const std::shared_ptr<Stream>& stream, void* target, const void* source, std::size_t bytes) {
    return enqueue(stream, [=] {
        std::memmove(target, source, bytes);
        return CUDA_SUCCESS;
    });
}

// The host's memory is read now, since it may change once this returns; the device's is written in its turn.
CUresult enqueue_staged(const std::shared_ptr<Stream>& stream, void* target, const void* source, std::size_t bytes) {
    const auto* first = static_cast<const std::byte*>(source);
    auto staged = std::make_shared<std::vector<std::byte>>(first, first + bytes);
    return enqueue(stream, [=] {
        std::memcpy(target, staged->data(), bytes);
        return CUDA_SUCCESS;
    });
}

CUresult copy_and_wait(const std::shared_ptr<Stream>& stream, void* target, const void* source, std::size_t bytes) {
    const CUresult result = enqueue_copy(stream, target, source, bytes);
    return result == CUDA_SUCCESS ? synchronize(*stream) : result;
}

CUresult to_device(CUdeviceptr target, const void* source, std::size_t bytes, CUstream handle, bool wait) {
    FIND_STREAM(stream, handle);
    REQUIRE(known(target, bytes), CUDA_ERROR_INVALID_VALUE);
    if (wait) return copy_and_wait(stream, pointer(target), source, bytes);
    if (memory().pinned(source, bytes)) return enqueue_copy(stream, pointer(target), source, bytes);
    return enqueue_staged(stream, pointer(target), source, bytes);
}

CUresult to_host(void* target, CUdeviceptr source, std::size_t bytes, CUstream handle, bool wait) {
    FIND_STREAM(stream, handle);
    REQUIRE(known(source, bytes), CUDA_ERROR_INVALID_VALUE);
    // Into pageable memory the copy is over when the call returns.
    if (wait || !memory().pinned(target, bytes)) return copy_and_wait(stream, target, pointer(source), bytes);
    return enqueue_copy(stream, target, pointer(source), bytes);
}

CUresult on_device(CUdeviceptr target, CUdeviceptr source, std::size_t bytes, CUstream handle) {
    FIND_STREAM(stream, handle);
    REQUIRE(known(target, bytes) && known(source, bytes), CUDA_ERROR_INVALID_VALUE);
    return enqueue_copy(stream, pointer(target), pointer(source), bytes);
}

// Between any two addresses, whatever they are.
CUresult any_copy(CUdeviceptr target, CUdeviceptr source, std::size_t bytes, CUstream stream, bool wait) {
    const bool from_device = known(source, bytes);
    if (known(target, bytes))
        return from_device ? on_device(target, source, bytes, stream)
                           : to_device(target, pointer(source), bytes, stream, wait);
    REQUIRE(from_device, CUDA_ERROR_INVALID_VALUE);
    return to_host(pointer(target), source, bytes, stream, wait);
}

bool of_device(CUdeviceptr address, std::size_t bytes, CUcontext handle) {
    const Allocation* found = memory().find(address, bytes);
    return found != nullptr && is_context(handle) && found->context->device == from_handle(handle)->device;
}

template <class T>
CUresult fill(CUdeviceptr target, std::size_t pitch, T value, std::size_t width, std::size_t height, CUstream handle) {
    FIND_STREAM(stream, handle);
    REQUIRE(target % sizeof(T) == 0, CUDA_ERROR_INVALID_VALUE);
    if (width == 0 || height == 0) return CUDA_SUCCESS;
    REQUIRE(known(target, (height - 1) * pitch + width * sizeof(T)), CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, [=] {
        for (std::size_t y = 0; y < height; y++) {
            T* row = static_cast<T*>(pointer(target + y * pitch));
            std::fill(row, row + width, value);
        }
        return CUDA_SUCCESS;
    });
}

}  // namespace

extern "C" {

CUresult cuMemcpyHtoD(CUdeviceptr target, const void* source, size_t bytes) {
    Lock lock;
    return to_device(target, source, bytes, nullptr, true);
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr target, const void* source, size_t bytes, CUstream stream) {
    Lock lock;
    return to_device(target, source, bytes, stream, false);
}

CUresult cuMemcpyDtoH(void* target, CUdeviceptr source, size_t bytes) {
    Lock lock;
    return to_host(target, source, bytes, nullptr, true);
}

CUresult cuMemcpyDtoHAsync(void* target, CUdeviceptr source, size_t bytes, CUstream stream) {
    Lock lock;
    return to_host(target, source, bytes, stream, false);
}

// The host does not wait for a copy from device to device, by this call either.
CUresult cuMemcpyDtoD(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
    Lock lock;
    return on_device(target, source, bytes, nullptr);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    Lock lock;
    return on_device(target, source, bytes, stream);
}

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
    Lock lock;
    return any_copy(target, source, bytes, nullptr, true);
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    Lock lock;
    return any_copy(target, source, bytes, stream, false);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr target, CUcontext target_context, CUdeviceptr source, CUcontext source_context,
                           size_t bytes, CUstream stream) {
    Lock lock;
    REQUIRE(of_device(target, bytes, target_context), CUDA_ERROR_INVALID_VALUE);
    REQUIRE(of_device(source, bytes, source_context), CUDA_ERROR_INVALID_VALUE);
    return on_device(target, source, bytes, stream);
}

// In order with all work of both contexts, before and after.
CUresult cuMemcpyPeer(CUdeviceptr target, CUcontext target_context, CUdeviceptr source, CUcontext source_context,
                      size_t bytes) {
    Lock lock;
    const CUresult result = cuMemcpyPeerAsync(target, target_context, source, source_context, 0, nullptr);
    REQUIRE(result == CUDA_SUCCESS, result);
    for (const CUcontext context : {source_context, target_context})
        if (const CUresult before = synchronize(*from_handle(context)); before != CUDA_SUCCESS) return before;
    const CUresult queued = cuMemcpyPeerAsync(target, target_context, source, source_context, bytes, nullptr);
    return queued == CUDA_SUCCESS ? synchronize(*current_context()->default_stream) : queued;
}

CUresult cuMemsetD8(CUdeviceptr target, unsigned char value, size_t count) {
    Lock lock;
    return fill(target, 0, value, count, 1, nullptr);
}

CUresult cuMemsetD16(CUdeviceptr target, unsigned short value, size_t count) {
    Lock lock;
    return fill(target, 0, value, count, 1, nullptr);
}

CUresult cuMemsetD32(CUdeviceptr target, unsigned value, size_t count) {
    Lock lock;
    return fill(target, 0, value, count, 1, nullptr);
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream) {
    Lock lock;
    return fill(target, 0, value, count, 1, stream);
}

CUresult cuMemsetD16Async(CUdeviceptr target, unsigned short value, size_t count, CUstream stream) {
    Lock lock;
    return fill(target, 0, value, count, 1, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr target, unsigned value, size_t count, CUstream stream) {
    Lock lock;
    return fill(target, 0, value, count, 1, stream);
}

CUresult cuMemsetD2D8(CUdeviceptr target, size_t pitch, unsigned char value, size_t width, size_t height) {
    Lock lock;
    return fill(target, pitch, value, width, height, nullptr);
}

CUresult cuMemsetD2D32(CUdeviceptr target, size_t pitch, unsigned value, size_t width, size_t height) {
    Lock lock;
    return fill(target, pitch, value, width, height, nullptr);
}

CUresult cuMemsetD2D8Async(CUdeviceptr target, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream) {
    Lock lock;
    return fill(target, pitch, value, width, height, stream);
}

CUresult cuMemsetD2D32Async(CUdeviceptr target, size_t pitch, unsigned value, size_t width, size_t height,
                            CUstream stream) {
    Lock lock;
    return fill(target, pitch, value, width, height, stream);
}

}  // extern "C"
