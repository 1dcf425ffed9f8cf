// Contexts and peer access.
#include <algorithm>

#include "api.hpp"

using namespace virtual_gpu;

namespace {

void forget_everywhere(Context* context) { std::erase(context_stack(), context); }

CUresult give_back_primary(Device& device) {
    const std::shared_ptr<Context> old = device.primary;
    drain_all();
    forget_everywhere(old.get());
    destroy_context(*old);
    device.primary = nullptr;
    device.primary_users = 0;
    return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams*, unsigned, CUdevice device) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    Context* made = create_context(*found, false).get();
    context_stack().push_back(made);
    *context = to_handle(made);
    return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle) {
    Lock lock;
    REQUIRE(is_context(handle), CUDA_ERROR_INVALID_CONTEXT);
    Context* context = from_handle(handle);
    REQUIRE(!context->primary, CUDA_ERROR_INVALID_CONTEXT);
    drain_all();
    forget_everywhere(context);
    destroy_context(*context);
    return CUDA_SUCCESS;
}

CUresult cuCtxAttach(CUcontext* handle, unsigned) {
    Lock lock;
    CURRENT_CONTEXT(context);
    context->users++;
    *handle = to_handle(context);
    return CUDA_SUCCESS;
}

// PyCUDA detaches from primary contexts too, when it forgets them, and takes it that they are popped.
CUresult cuCtxDetach(CUcontext handle) {
    Lock lock;
    REQUIRE(is_context(handle), CUDA_ERROR_INVALID_CONTEXT);
    Context* context = from_handle(handle);
    if (context->primary) {
        if (current_context() == context) context_stack().pop_back();
        return cuDevicePrimaryCtxRelease(context->device->index);
    }
    return --context->users == 0 ? cuCtxDestroy(handle) : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* handle, CUdevice device) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    if (found->primary == nullptr) found->primary = create_context(*found, true);
    found->primary_users++;
    *handle = to_handle(found->primary.get());
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    REQUIRE(found->primary_users > 0, CUDA_ERROR_INVALID_CONTEXT);
    return --found->primary_users == 0 ? give_back_primary(*found) : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    return found->primary == nullptr ? CUDA_SUCCESS : give_back_primary(*found);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    *flags = found->primary_flags;
    *active = found->primary != nullptr;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
    Lock lock;
    Device* found = find_device(device);
    REQUIRE(found != nullptr, CUDA_ERROR_INVALID_DEVICE);
    found->primary_flags = flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext handle) {
    Lock lock;
    REQUIRE(is_context(handle), CUDA_ERROR_INVALID_CONTEXT);
    context_stack().push_back(from_handle(handle));
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext* handle) {
    Lock lock;
    CURRENT_CONTEXT(context);
    context_stack().pop_back();
    if (handle != nullptr) *handle = to_handle(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext handle) {
    Lock lock;
    REQUIRE(handle == nullptr || is_context(handle), CUDA_ERROR_INVALID_CONTEXT);
    if (!context_stack().empty()) context_stack().pop_back();
    if (handle != nullptr) context_stack().push_back(from_handle(handle));
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* handle) {
    *handle = to_handle(current_context());
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
    CURRENT_CONTEXT(context);
    *device = context->device->index;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext, unsigned* version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
    Lock lock;
    CURRENT_CONTEXT(context);
    return synchronize(*context);
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    CURRENT_CONTEXT(context);
    *least = 0;
    *greatest = -5;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache) { return CUDA_SUCCESS; }
CUresult cuCtxSetLimit(CUlimit, size_t) { return CUDA_SUCCESS; }

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned flags) {
    Lock lock;
    CURRENT_CONTEXT(context);
    REQUIRE(flags == 0, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(is_context(handle), CUDA_ERROR_INVALID_CONTEXT);
    Context* peer = from_handle(handle);
    REQUIRE(peer->device != context->device, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
    return context->peers.insert(peer).second ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}

CUresult cuCtxDisablePeerAccess(CUcontext handle) {
    Lock lock;
    CURRENT_CONTEXT(context);
    return context->peers.erase(from_handle(handle)) != 0 ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

}  // extern "C"
