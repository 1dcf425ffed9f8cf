#include "fiber.hpp"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

asm(R"(
.text
.globl virtual_gpu_switch
.type virtual_gpu_switch,@function
virtual_gpu_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp,(%rdi)
  mov %rsi,%rsp
.globl virtual_gpu_resume
.type virtual_gpu_resume,@function
virtual_gpu_resume:
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size virtual_gpu_switch,.-virtual_gpu_switch
)");

namespace virtual_gpu {

namespace {
constexpr int saved_registers = 6;
}

Fiber::Fiber(std::size_t number, void (*body)()) : body_(body) {
    void* memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard_bytes, PROT_NONE) != 0) std::abort();
    mapping_ = static_cast<std::byte*>(memory);
    // Stacks that all started at the same offset of a page would share a few sets of the cache.
    top_ = mapping_ + guard_bytes + stack_bytes - (number % 32) * 192;
    reset();
}

void Fiber::reset() {
    auto address = reinterpret_cast<std::uintptr_t>(top_) & ~std::uintptr_t{15};
    auto* stack = reinterpret_cast<void**>(address);
    *--stack = nullptr;  // the body's return address: it never returns
    *--stack = reinterpret_cast<void*>(body_);
    for (int i = 0; i < saved_registers; i++) *--stack = nullptr;
    stack_pointer = stack;
}

bool Fiber::guards(const void* address) const {
    auto* byte = static_cast<const std::byte*>(address);
    return byte >= mapping_ && byte < mapping_ + guard_bytes;
}

}  // namespace virtual_gpu
