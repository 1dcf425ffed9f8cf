// Copies of two and three dimensions.
#include <cstring>

#include "api.hpp"

using namespace virtual_gpu;

namespace {

// One side of a copy: a box of rows within memory.
struct Side {
    CUmemorytype type;
    std::byte* first;
    std::size_t pitch;
    std::size_t slice;

    std::byte* row(std::size_t y, std::size_t z) const { return first + z * slice + y * pitch; }
};

struct Box {
    Side target;
    Side source;
    std::size_t width;  // bytes
    std::size_t height;
    std::size_t depth;
};

std::byte* start(CUmemorytype type, const void* host, CUdeviceptr device) {
    return type == CU_MEMORYTYPE_HOST ? static_cast<std::byte*>(const_cast<void*>(host))
                                      : reinterpret_cast<std::byte*>(device);
}

Box make_box(const CUDA_MEMCPY2D& c) {
    const std::size_t target_pitch = c.dstPitch ? c.dstPitch : c.WidthInBytes;
    const std::size_t source_pitch = c.srcPitch ? c.srcPitch : c.WidthInBytes;
    std::byte* target = start(c.dstMemoryType, c.dstHost, c.dstDevice) + c.dstY * target_pitch + c.dstXInBytes;
    std::byte* source = start(c.srcMemoryType, c.srcHost, c.srcDevice) + c.srcY * source_pitch + c.srcXInBytes;
    return {{c.dstMemoryType, target, target_pitch, 0}, {c.srcMemoryType, source, source_pitch, 0},
            c.WidthInBytes, c.Height, 1};
}

Side make_side(CUmemorytype type, std::byte* first, std::size_t pitch, std::size_t height, const std::size_t (&at)[3]) {
    return {type, first + (at[2] * height + at[1]) * pitch + at[0], pitch, height * pitch};
}

Box make_box(const CUDA_MEMCPY3D& c) {
    const auto otherwise = [](std::size_t value, std::size_t other) { return value != 0 ? value : other; };
    const Side target = make_side(c.dstMemoryType, start(c.dstMemoryType, c.dstHost, c.dstDevice),
                                  otherwise(c.dstPitch, c.WidthInBytes), otherwise(c.dstHeight, c.Height),
                                  {c.dstXInBytes, c.dstY, c.dstZ});
    const Side source = make_side(c.srcMemoryType, start(c.srcMemoryType, c.srcHost, c.srcDevice),
                                  otherwise(c.srcPitch, c.WidthInBytes), otherwise(c.srcHeight, c.Height),
                                  {c.srcXInBytes, c.srcY, c.srcZ});
    return {target, source, c.WidthInBytes, c.Height, c.Depth};
}

bool valid(const Side& side, const Box& box) {
    if (side.type == CU_MEMORYTYPE_ARRAY || side.pitch < box.width) return false;
    if (side.type == CU_MEMORYTYPE_HOST) return true;
    return memory().find(side.row(0, 0), side.row(box.height - 1, box.depth - 1) + box.width - side.row(0, 0)) != nullptr;
}

void copy(const Box& box) {
    for (std::size_t z = 0; z < box.depth; z++)
        for (std::size_t y = 0; y < box.height; y++)
            std::memmove(box.target.row(y, z), box.source.row(y, z), box.width);
}

bool late(const Side& side) { return side.type != CU_MEMORYTYPE_HOST || memory().pinned(side.first, 1); }

CUresult copy_box(const Box& box, CUstream handle, bool wait) {
    FIND_STREAM(stream, handle);
    if (box.width == 0 || box.height == 0 || box.depth == 0) return CUDA_SUCCESS;
    REQUIRE(valid(box.target, box) && valid(box.source, box), CUDA_ERROR_INVALID_VALUE);
    const CUresult result = enqueue(stream, [=] {
        copy(box);
        return CUDA_SUCCESS;
    });
    // Copies of pageable memory end before the call returns.
    return result == CUDA_SUCCESS && (wait || !late(box.target) || !late(box.source)) ? synchronize(*stream) : result;
}

}  // namespace

extern "C" {

CUresult cuMemcpy2D(const CUDA_MEMCPY2D* copy) {
    Lock lock;
    return copy_box(make_box(*copy), nullptr, true);
}

CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D* copy) { return cuMemcpy2D(copy); }

CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D* copy, CUstream stream) {
    Lock lock;
    return copy_box(make_box(*copy), stream, false);
}

CUresult cuMemcpy3D(const CUDA_MEMCPY3D* copy) {
    Lock lock;
    return copy_box(make_box(*copy), nullptr, true);
}

CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D* copy, CUstream stream) {
    Lock lock;
    return copy_box(make_box(*copy), stream, false);
}

}  // extern "C"
