#include "memory.hpp"

#include <array>
#include <cstring>
#include <sys/mman.h>

namespace virtual_gpu {

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t guard_bytes = 64 << 10;
constexpr std::size_t alignment = 256;  // what cuMemAlloc promises
constexpr unsigned char canary = 0xa5;

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

bool all_canary(const std::byte* first, const std::byte* last) {
    static const auto pattern = [] {
        std::array<std::byte, page> bytes;
        bytes.fill(std::byte{canary});
        return bytes;
    }();
    return std::memcmp(first, pattern.data(), last - first) == 0;
}

void fill_margins(std::byte* pages, std::byte* data, std::byte* data_end, std::byte* end) {
    std::memset(pages, canary, data - pages);
    std::memset(data_end, canary, end - data_end);
}

// The data end as near to the guard page as their alignment lets them.
std::byte* lay_out(std::byte* pages, std::size_t page_bytes, std::size_t size) {
    std::byte* data = pages + page_bytes - round_up(size, alignment);
    std::memset(data, 0xff, size);
    fill_margins(pages, data, data + size, pages + page_bytes);
    return data;
}

}  // namespace

Memory& memory() {
    static Memory instance;
    return instance;
}

const Allocation* Memory::allocate(std::size_t size, Context* context, Allocation::Kind kind) {
    const std::size_t page_bytes = round_up(size, page);
    void* mapping = mmap(nullptr, page_bytes + 2 * guard_bytes, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return nullptr;
    auto* pages = static_cast<std::byte*>(mapping) + guard_bytes;
    if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(lay_out(pages, page_bytes, size));
    return &(allocations_[address] = {address, size, context, kind, pages, page_bytes});
}

void Memory::add(const void* address, std::size_t size, Context* context, Allocation::Kind kind) {
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    allocations_[number] = {number, size, context, kind};
}

void Memory::remove(std::uintptr_t address) {
    const auto found = allocations_.find(address);
    if (found == allocations_.end()) return;
    const Allocation& old = found->second;
    // The addresses are never given out again: whoever still uses them faults.
    if (old.pages != nullptr)
        mmap(old.pages, old.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    allocations_.erase(found);
}

void Memory::remove_all(const Context* context) {
    for (auto next = allocations_.begin(); next != allocations_.end();) {
        const Allocation& allocation = (next++)->second;
        if (allocation.context == context) remove(allocation.address);
    }
}

const Allocation* Memory::find(std::uintptr_t address, std::size_t bytes) const {
    auto after = allocations_.upper_bound(address);
    if (after == allocations_.begin()) return nullptr;
    const Allocation& candidate = std::prev(after)->second;
    const std::size_t offset = address - candidate.address;
    return offset <= candidate.size && bytes <= candidate.size - offset ? &candidate : nullptr;
}

bool Memory::overlaps(std::uintptr_t first, std::uintptr_t last) const {
    const auto behind = allocations_.lower_bound(last);
    if (behind == allocations_.begin()) return false;
    const Allocation& candidate = std::prev(behind)->second;
    return candidate.address + candidate.size > first;
}

bool Memory::pinned(const void* address, std::size_t bytes) const {
    const Allocation* found = find(address, bytes);
    return found != nullptr && !found->on_device();
}

std::string Memory::take_damage() {
    for (const auto& [address, allocation] : allocations_) {
        if (allocation.pages == nullptr) continue;
        auto* data = reinterpret_cast<std::byte*>(address);
        std::byte* end = allocation.pages + allocation.page_bytes;
        const bool before = !all_canary(allocation.pages, data);
        if (!before && all_canary(data + allocation.size, end)) continue;
        fill_margins(allocation.pages, data, data + allocation.size, end);
        return std::string("a write ") + (before ? "before the start" : "behind the end") + " of an allocation of " +
               std::to_string(allocation.size) + " bytes";
    }
    return {};
}

std::string Memory::describe(const void* address) const {
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    for (const auto& [start, allocation] : allocations_) {
        const std::string size = " an allocation of " + std::to_string(allocation.size) + " bytes";
        if (number < start && start - number <= guard_bytes + page)
            return ", " + std::to_string(start - number) + " bytes before" + size;
        if (number >= start + allocation.size && number - start - allocation.size <= guard_bytes + page)
            return ", " + std::to_string(number - start - allocation.size) + " bytes behind" + size;
    }
    return ", near no allocation";
}

}  // namespace virtual_gpu
