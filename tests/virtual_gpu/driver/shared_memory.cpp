#include "shared_memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "scheduler.hpp"

namespace virtual_gpu {

std::byte* dynamic_shared = nullptr;

namespace {

constexpr std::size_t guard_bytes = 1 << 20;
constexpr std::size_t room = 256 << 10;
constexpr std::size_t alignment = 16;  // what CUDA promises
constexpr std::size_t front_bytes = 256;
constexpr int canary = 0xa5;

std::size_t size = 0;

std::byte* end_of_room() {
    static std::byte* const end = [] {
        void* memory = mmap(nullptr, room + guard_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        auto* first = static_cast<std::byte*>(memory);
        if (mprotect(first + room, guard_bytes, PROT_NONE) != 0) std::abort();
        return first + room;
    }();
    return end;
}

bool all_canary(const std::byte* first, const std::byte* last) {
    return std::all_of(first, last, [](std::byte byte) { return byte == std::byte{canary}; });
}

bool within(const std::byte* address, unsigned bytes, const std::byte* first, const std::byte* last) {
    return address >= first && address + bytes <= last;
}

}  // namespace

void place_dynamic_shared(std::size_t bytes) {
    size = bytes;
    dynamic_shared = end_of_room() - (bytes + alignment - 1) / alignment * alignment;
    std::memset(dynamic_shared - front_bytes, canary, front_bytes);
    std::memset(dynamic_shared + size, canary, end_of_room() - dynamic_shared - size);
}

void poison_dynamic_shared() { std::memset(dynamic_shared, 0xff, size); }

bool dynamic_shared_intact() {
    return all_canary(dynamic_shared - front_bytes, dynamic_shared) && all_canary(dynamic_shared + size, end_of_room());
}

bool dynamic_shared_guards(const void* address) {
    auto* byte = static_cast<const std::byte*>(address);
    return byte >= end_of_room() && byte < end_of_room() + guard_bytes;
}

bool overlaps_shared(std::uintptr_t first, std::uintptr_t last) {
    const KernelEntry& kernel = scheduler().kernel();
    const auto overlap = [&](const std::byte* begin, const std::byte* end) {
        return first < reinterpret_cast<std::uintptr_t>(end) && last > reinterpret_cast<std::uintptr_t>(begin);
    };
    return overlap(dynamic_shared, dynamic_shared + size) || overlap(kernel.shared_begin, kernel.shared_end);
}

void require_shared(const void* address, unsigned bytes, unsigned alignment, const char* who) {
    auto* byte = static_cast<const std::byte*>(address);
    const KernelEntry& kernel = scheduler().kernel();
    if (!within(byte, bytes, dynamic_shared, dynamic_shared + size) &&
        !within(byte, bytes, kernel.shared_begin, kernel.shared_end))
        scheduler().fail(Failure::illegal_address, std::string(who) + ": an address is not in shared memory");
    if (reinterpret_cast<std::uintptr_t>(address) % alignment != 0)
        scheduler().fail(Failure::misaligned_address, std::string(who) + ": an address in shared memory is misaligned");
}

}  // namespace virtual_gpu
