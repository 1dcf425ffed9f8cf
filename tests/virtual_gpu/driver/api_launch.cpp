// Launches of kernels, and how many blocks fit a processor.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "api.hpp"
#include "faults.hpp"
#include "limits.hpp"
#include "module.hpp"
#include "source_lines.hpp"
#include "statistics.hpp"

using namespace virtual_gpu;

namespace {

// The values of a kernel's parameters, kept until it runs.
class Arguments {
public:
    explicit Arguments(const KernelEntry& kernel) : kernel_(&kernel) {
        for (unsigned i = 0; i < kernel.parameter_count; i++) {
            const Parameter& parameter = kernel.parameters[i];
            bytes_ = (bytes_ + parameter.alignment - 1) / parameter.alignment * parameter.alignment;
            offsets_.push_back(bytes_);
            bytes_ += parameter.size;
        }
        values_.resize(bytes_ / sizeof(std::max_align_t) + 1);
    }

    std::size_t bytes() const { return bytes_; }

    void take(void** parameters) {
        for (unsigned i = 0; i < kernel_->parameter_count; i++)
            std::memcpy(at(i), parameters[i], kernel_->parameters[i].size);
    }

    void take_packed(const void* buffer) { std::memcpy(values_.data(), buffer, bytes_); }

    std::vector<void*> pointers() {
        std::vector<void*> pointers;
        for (unsigned i = 0; i < kernel_->parameter_count; i++) pointers.push_back(at(i));
        return pointers;
    }

    // The first pointer into memory that the context may not reach: that of another device that is no peer.
    const void* foreign_pointer(const Context& context) {
        for (unsigned i = 0; i < kernel_->parameter_count; i++) {
            if (!kernel_->parameters[i].pointer) continue;
            void* pointer = nullptr;
            std::memcpy(&pointer, at(i), sizeof pointer);
            const Allocation* found = memory().find(pointer, 1);
            if (found == nullptr || !found->on_device() || found->context->device == context.device) continue;
            if (context.peers.count(found->context) == 0) return pointer;
        }
        return nullptr;
    }

private:
    void* at(unsigned i) { return reinterpret_cast<std::byte*>(values_.data()) + offsets_[i]; }

    const KernelEntry* kernel_;
    std::size_t bytes_ = 0;
    std::vector<std::size_t> offsets_;
    std::vector<std::max_align_t> values_;
};

struct Packed {
    const void* buffer = nullptr;
    std::size_t bytes = 0;
};

Packed unpack(void** extra) {
    Packed packed;
    for (void** entry = extra; *entry != CU_LAUNCH_PARAM_END; entry += 2) {
        if (*entry == CU_LAUNCH_PARAM_BUFFER_POINTER) packed.buffer = entry[1];
        if (*entry == CU_LAUNCH_PARAM_BUFFER_SIZE) packed.bytes = *static_cast<std::size_t*>(entry[1]);
    }
    return packed;
}

CUresult take_arguments(Arguments& arguments, const Function& function, void** parameters, void** extra) {
    if (parameters != nullptr) {
        arguments.take(parameters);
        return CUDA_SUCCESS;
    }
    const Packed packed = extra != nullptr ? unpack(extra) : Packed{};
    // The buffer may be padded to a multiple of eight bytes.
    if (packed.bytes < arguments.bytes() || packed.bytes >= arguments.bytes() + sizeof(void*)) {
        std::fprintf(stderr, "virtual GPU: kernel \"%s\" takes %zu bytes of parameters, it was given %zu\n",
                     function.name.c_str(), arguments.bytes(), packed.bytes);
        return CUDA_ERROR_INVALID_VALUE;
    }
    arguments.take_packed(packed.buffer);
    return CUDA_SUCCESS;
}

bool within_limits(const Function& function, dim3 grid, dim3 block, unsigned shared) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0) return false;
    if (grid.x > max_grid_x || grid.y > max_grid_yz || grid.z > max_grid_yz || block.z > max_block_z) return false;
    if (std::size_t{block.x} * block.y * block.z > static_cast<unsigned>(function.max_threads())) return false;
    const int limit = std::max(function.dynamic_shared_limit, default_shared - function.static_shared());
    return shared <= static_cast<unsigned>(limit);
}

CUresult error_of(Failure failure) {
    switch (failure) {
        case Failure::illegal_address: return CUDA_ERROR_ILLEGAL_ADDRESS;
        case Failure::misaligned_address: return CUDA_ERROR_MISALIGNED_ADDRESS;
        case Failure::stack_overflow: return CUDA_ERROR_HARDWARE_STACK_ERROR;
        case Failure::deadlock: return CUDA_ERROR_LAUNCH_TIMEOUT;
        case Failure::trap: return CUDA_ERROR_ASSERT;
        default: return CUDA_ERROR_LAUNCH_FAILED;
    }
}

CUresult report(const Function& function, const std::string& place, const Fault& fault) {
    last_fault() = "kernel \"" + function.name + "\"" + (place.empty() ? "" : " " + place) + ": " + fault.message;
    const std::string lines = source_lines(*function.module, fault.code);
    if (!lines.empty()) last_fault() += ", at " + lines;
    std::fprintf(stderr, "virtual GPU: %s\n", last_fault().c_str());
    return error_of(fault.failure);
}

CUresult run(const Function& function, const Launch& launch) {
    bool ended_well = false;
    {
        FaultHandlers handlers;
        ended_well = scheduler().run(launch);
    }
    statistics().launches++;
    if (!ended_well) {
        describe_fault();
        return report(function, scheduler().place(), scheduler().fault);
    }
    const std::string damage = memory().take_damage();
    return damage.empty() ? CUDA_SUCCESS : report(function, "", {Failure::illegal_address, damage});
}

CUresult run_checked(const Function& function, dim3 grid, dim3 block, unsigned shared, Arguments& arguments) {
    if (arguments.foreign_pointer(*function.module->context) != nullptr)
        return report(function, "", {Failure::illegal_address, "a pointer into a device that is no peer"});
    const std::vector<void*> pointers = arguments.pointers();
    return run(function, {function.kernel, grid, block, shared, pointers.data()});
}

}  // namespace

extern "C" {

CUresult cuLaunchKernel(CUfunction function_handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream handle, void** parameters,
                        void** extra) {
    Lock lock;
    FIND_STREAM(stream, handle);
    const auto* function = reinterpret_cast<const Function*>(function_handle);
    REQUIRE(function != nullptr && function->module->context == stream->context, CUDA_ERROR_INVALID_HANDLE);
    const dim3 grid(grid_x, grid_y, grid_z);
    const dim3 block(block_x, block_y, block_z);
    REQUIRE(within_limits(*function, grid, block, shared), CUDA_ERROR_INVALID_VALUE);
    const auto arguments = std::make_shared<Arguments>(*function->kernel);
    const CUresult taken = take_arguments(*arguments, *function, parameters, extra);
    REQUIRE(taken == CUDA_SUCCESS, taken);
    return enqueue(stream, [=] { return run_checked(*function, grid, block, shared, *arguments); });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction handle, int threads, size_t shared) {
    Lock lock;
    const Function& function = *reinterpret_cast<const Function*>(handle);
    const Device& device = *function.module->context->device;
    REQUIRE(threads > 0, CUDA_ERROR_INVALID_VALUE);
    const int warps = (threads + 31) / 32;
    const int by_threads = threads_per_processor(device) / (32 * warps);
    const auto taken = static_cast<int>(shared) + function.static_shared();
    const int by_shared = taken > 0 ? shared_per_processor(device) / taken : by_threads;
    *blocks = std::min({by_threads, by_shared, blocks_per_processor(device)});
    return CUDA_SUCCESS;
}

}  // extern "C"
