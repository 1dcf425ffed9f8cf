// Fibers: stacks that take turns on one operating-system thread.
#pragma once

#include <cstddef>

namespace virtual_gpu {

#if !defined(__x86_64__)
#error "the virtual GPU's fibers are written for x86-64"
#endif

extern "C" {
// Saves the callee-saved registers on this stack and its stack pointer in *save, then goes on where `to` was saved.
void virtual_gpu_switch(void** save, void* to);
// The second half of the switch. A signal handler that puts a saved stack pointer into RSP and this into RIP leaves
// the faulting stack for good.
void virtual_gpu_resume();
}

class Fiber {
public:
    static constexpr std::size_t stack_bytes = 256 << 10;
    static constexpr std::size_t guard_bytes = 4096;

    Fiber(std::size_t number, void (*body)());
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Forgets what the stack holds: the next switch to it starts the body anew.
    void reset();
    bool guards(const void* address) const;
    bool holds(const void* address) const {
        auto* byte = static_cast<const std::byte*>(address);
        return byte >= mapping_ && byte < mapping_ + guard_bytes + stack_bytes;
    }

    void* stack_pointer = nullptr;

private:
    std::byte* mapping_;
    std::byte* top_;
    void (*body_)();
};

}  // namespace virtual_gpu
