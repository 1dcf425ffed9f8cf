// The dynamic shared memory of the block that runs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace virtual_gpu {

constexpr std::size_t max_dynamic_shared = 232448;

// Lays the block's dynamic shared memory against a guard page.
void place_dynamic_shared(std::size_t bytes);
void poison_dynamic_shared();
// False if a block wrote just before or behind it.
bool dynamic_shared_intact();
// Whether an address is in the guard behind it.
bool dynamic_shared_guards(const void* address);

// Whether some of the bytes from `first` up to `last` are the block's static or dynamic shared memory.
bool overlaps_shared(std::uintptr_t first, std::uintptr_t last);

}  // namespace virtual_gpu
