// What compiled kernels ask of the virtual GPU: where a thread is, barriers, collectives, asynchronous copies.
// Kernels see it through device.h; libcuda.so.1 (driver/) implements it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <vector_types.h>

namespace virtual_gpu {

struct Position {
    uint3 thread;
    uint3 block;
    dim3 block_dim;
    dim3 grid_dim;
    unsigned lane;
};

// The CUDA thread that runs now. One thread of one block runs at a time, so one place is enough.
extern Position position;

// The block's dynamic shared memory.
extern std::byte* dynamic_shared;

struct Votes {
    int any;
    int all;
    int count;
};

// __syncthreads and its variants: waits for every thread of the block; votes over the predicates.
Votes block_barrier(int predicate);

// A collective of a warp: every lane named in the mask that has not returned comes here with the same function and its
// own payload. The last one to come calls the function, once, for all of them; payloads of absent lanes are null.
using Collective = void (*)(void* const payloads[32], unsigned participants);
void warp_collective(unsigned mask, Collective complete, void* payload);

// cp.async: the copy stays pending until async_wait, so that a forgotten wait shows.
void async_copy(void* shared, const void* global, unsigned bytes, bool valid);
void async_commit();
void async_wait(unsigned pending_groups);

enum class Failure { illegal_address, misaligned_address, stack_overflow, deadlock, barrier, collective, trap, arithmetic, race };

// Ends the launch with an error.
[[noreturn]] void fail(Failure failure, const char* message);

// Ends the launch if the bytes are not in the block's shared memory or do not start on a multiple of `alignment`.
void require_shared(const void* address, unsigned bytes, unsigned alignment, const char* who);

// Whether g++ tells the virtual GPU every access to memory. It does not see what these are for: an atomic, whose loads
// and stores in between are part of it; a lane's read that another lane makes for it.
#ifdef __SANITIZE_THREAD__
constexpr bool races_checked = true;
#else
constexpr bool races_checked = false;
#endif
void begin_atomic(const void* target, unsigned bytes);
void end_atomic();
void note_read(const void* address, unsigned bytes);

struct Parameter {
    unsigned size;
    unsigned alignment;
    bool pointer;
};

// What a module exports for each of its kernels.
struct KernelEntry {
    void (*run)(void* const* arguments);
    const Parameter* parameters;
    unsigned parameter_count;
    unsigned max_threads;  // from __launch_bounds__; 0: none given
    std::byte* shared_begin;  // static shared memory of the module
    std::byte* shared_end;
};

template <auto kernel>
struct Entry;

template <class... Arguments, void (*kernel)(Arguments...)>
struct Entry<kernel> {
    template <class T>
    using Value = std::remove_cv_t<std::remove_reference_t<T>>;

    // One element more than there are parameters: arrays of no elements do not exist.
    static constexpr Parameter parameters[] = {
        {sizeof(Value<Arguments>), alignof(Value<Arguments>), std::is_pointer_v<Value<Arguments>>}..., {0, 1, false}};
    static constexpr unsigned parameter_count = sizeof...(Arguments);

    static void run([[maybe_unused]] void* const* arguments) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            kernel(*static_cast<Value<Arguments>*>(arguments[i])...);
        }(std::index_sequence_for<Arguments...>{});
    }
};

}  // namespace virtual_gpu
