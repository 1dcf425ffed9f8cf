// Barriers of a block; synchronization, shuffles and votes of a warp.
#pragma once

#include <cstring>
#include <type_traits>

#include <virtual_gpu/execution.h>

inline void __syncthreads() { virtual_gpu::block_barrier(0); }
inline int __syncthreads_or(int predicate) { return virtual_gpu::block_barrier(predicate).any; }
inline int __syncthreads_and(int predicate) { return virtual_gpu::block_barrier(predicate).all; }
inline int __syncthreads_count(int predicate) { return virtual_gpu::block_barrier(predicate).count; }

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

[[noreturn]] inline void __trap() { virtual_gpu::fail(virtual_gpu::Failure::trap, "__trap()"); }

namespace virtual_gpu {

// Calls visit(lane, payload) for every lane that takes part.
template <class Payload, class Visitor>
inline void for_lanes(void* const payloads[32], unsigned participants, Visitor visit) {
    for (unsigned lane = 0; lane < 32; lane++)
        if (participants >> lane & 1) visit(lane, *static_cast<Payload*>(payloads[lane]));
}

inline void meet(void* const*, unsigned) {}

template <class T>
struct Shuffle {
    T value;
    unsigned source;
    T result;
};

template <class T>
void complete_shuffle(void* const payloads[32], unsigned participants) {
    for_lanes<Shuffle<T>>(payloads, participants, [&](unsigned, Shuffle<T>& mine) {
        const auto* other = static_cast<const Shuffle<T>*>(payloads[mine.source]);
        // What a lane that is not here would give is not defined: NaN.
        if (other == nullptr) std::memset(static_cast<void*>(&mine.result), 0xff, sizeof(T));
        else mine.result = other->value;
    });
}

template <class T>
inline T shuffle(unsigned mask, T value, unsigned source) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 2, "shuffles move 2, 4 or 8 bytes");
    Shuffle<T> payload{value, source, value};
    warp_collective(mask, complete_shuffle<T>, &payload);
    return payload.result;
}

inline unsigned segment(int width) { return position.lane & ~static_cast<unsigned>(width - 1); }

struct Vote {
    int predicate;
    unsigned result;
};

inline void complete_vote(void* const payloads[32], unsigned participants) {
    unsigned votes = 0;
    for_lanes<Vote>(payloads, participants, [&](unsigned lane, Vote& vote) { votes |= (vote.predicate != 0u) << lane; });
    for_lanes<Vote>(payloads, participants, [&](unsigned, Vote& vote) { vote.result = votes; });
}

inline unsigned vote(unsigned mask, int predicate) {
    Vote payload{predicate != 0, 0};
    warp_collective(mask, complete_vote, &payload);
    return payload.result;
}

template <class T>
struct Match {
    T value;
    unsigned result;
};

template <class T>
void complete_match(void* const payloads[32], unsigned participants) {
    for_lanes<Match<T>>(payloads, participants, [&](unsigned, Match<T>& mine) {
        mine.result = 0;
        for_lanes<Match<T>>(payloads, participants, [&](unsigned lane, Match<T>& other) {
            mine.result |= (std::memcmp(&mine.value, &other.value, sizeof(T)) == 0 ? 1u : 0u) << lane;
        });
    });
}

template <class T, class Operation>
struct Reduction {
    T value;
    T result;
};

template <class T, class Operation>
void complete_reduction(void* const payloads[32], unsigned participants) {
    using Payload = Reduction<T, Operation>;
    bool first = true;
    T total{};
    for_lanes<Payload>(payloads, participants, [&](unsigned, Payload& lane) {
        total = first ? lane.value : Operation()(total, lane.value);
        first = false;
    });
    for_lanes<Payload>(payloads, participants, [&](unsigned, Payload& lane) { lane.result = total; });
}

template <class Operation, class T>
inline T reduce(unsigned mask, T value) {
    static_assert(std::is_integral_v<T> && sizeof(T) == 4, "__reduce_*_sync takes 32-bit integers");
    Reduction<T, Operation> payload{value, value};
    warp_collective(mask, complete_reduction<T, Operation>, &payload);
    return payload.result;
}

struct Add { template <class T> T operator()(T a, T b) const { return a + b; } };
struct Least { template <class T> T operator()(T a, T b) const { return a < b ? a : b; } };
struct Greatest { template <class T> T operator()(T a, T b) const { return a > b ? a : b; } };
struct And { template <class T> T operator()(T a, T b) const { return a & b; } };
struct Or { template <class T> T operator()(T a, T b) const { return a | b; } };
struct Xor { template <class T> T operator()(T a, T b) const { return a ^ b; } };

}  // namespace virtual_gpu

inline void __syncwarp(unsigned mask = ~0u) { virtual_gpu::warp_collective(mask, virtual_gpu::meet, nullptr); }

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    return virtual_gpu::shuffle(mask, value, virtual_gpu::segment(width) | (source & (width - 1)));
}

template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const unsigned lane = virtual_gpu::position.lane;
    const bool inside = lane >= virtual_gpu::segment(width) + distance;
    return virtual_gpu::shuffle(mask, value, inside ? lane - distance : lane);
}

template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const unsigned lane = virtual_gpu::position.lane;
    const bool inside = lane + distance < virtual_gpu::segment(width) + width;
    return virtual_gpu::shuffle(mask, value, inside ? lane + distance : lane);
}

template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    const unsigned lane = virtual_gpu::position.lane;
    const unsigned source = lane ^ static_cast<unsigned>(bits);
    const bool inside = source < virtual_gpu::segment(width) + width;
    return virtual_gpu::shuffle(mask, value, inside ? source : lane);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) { return virtual_gpu::vote(mask, predicate); }
inline int __any_sync(unsigned mask, int predicate) { return virtual_gpu::vote(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return virtual_gpu::vote(mask, !predicate) == 0; }

template <class T>
inline unsigned __match_any_sync(unsigned mask, T value) {
    virtual_gpu::Match<T> payload{value, 0};
    virtual_gpu::warp_collective(mask, virtual_gpu::complete_match<T>, &payload);
    return payload.result;
}

template <class T>
inline T __reduce_add_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::Add>(mask, value); }
template <class T>
inline T __reduce_min_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::Least>(mask, value); }
template <class T>
inline T __reduce_max_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::Greatest>(mask, value); }
template <class T>
inline T __reduce_and_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::And>(mask, value); }
template <class T>
inline T __reduce_or_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::Or>(mask, value); }
template <class T>
inline T __reduce_xor_sync(unsigned mask, T value) { return virtual_gpu::reduce<virtual_gpu::Xor>(mask, value); }
