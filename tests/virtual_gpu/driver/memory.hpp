// Device and pinned memory: host memory between guard pages, and what is known of every address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include <cuda.h>

namespace virtual_gpu {

struct Context;

struct Allocation {
    enum class Kind { device, pinned, registered, module };

    std::uintptr_t address;
    std::size_t size;
    Context* context;
    Kind kind;
    // The pages that hold it, without the guards; none for memory that somebody else owns.
    std::byte* pages = nullptr;
    std::size_t page_bytes = 0;

    bool on_device() const { return kind == Kind::device || kind == Kind::module; }
};

class Memory {
public:
    // Fills the memory with 0xff: whoever reads what was never written gets NaN. Null when the host has no more.
    const Allocation* allocate(std::size_t size, Context* context, Allocation::Kind kind);
    // Makes memory of somebody else known.
    void add(const void* address, std::size_t size, Context* context, Allocation::Kind kind);
    void remove(std::uintptr_t address);
    void remove_all(const Context* context);

    // The allocation that holds all of these bytes, or null.
    const Allocation* find(std::uintptr_t address, std::size_t bytes) const;
    const Allocation* find(const void* address, std::size_t bytes) const {
        return find(reinterpret_cast<std::uintptr_t>(address), bytes);
    }
    // Whether an allocation has some of the bytes from `first` up to `last`.
    bool overlaps(std::uintptr_t first, std::uintptr_t last) const;
    bool pinned(const void* address, std::size_t bytes) const;

    // Which allocation was written around, in words; empty if none was. What is told is mended.
    std::string take_damage();
    // Where an address lies with respect to the nearest allocation, in words.
    std::string describe(const void* address) const;

    const std::map<std::uintptr_t, Allocation>& all() const { return allocations_; }

private:
    std::map<std::uintptr_t, Allocation> allocations_;
};

Memory& memory();

}  // namespace virtual_gpu
