#include "faults.hpp"

#include <cstdint>
#include <ucontext.h>

#include "memory.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"

namespace virtual_gpu {

namespace {

constexpr int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
constexpr int signal_count = sizeof signals / sizeof signals[0];
struct sigaction previous[signal_count];
alignas(16) char handler_stack[64 << 10];
thread_local bool in_launch = false;

// What the handler saw: plain values, since it may not allocate.
struct Seen {
    int signal = 0;
    int code = 0;
    const void* address = nullptr;
} seen;

void chain(int signal, siginfo_t* info, void* context) {
    for (int i = 0; i < signal_count; i++) {
        if (signals[i] != signal) continue;
        const struct sigaction& before = previous[i];
        if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
        if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
        sigaction(signal, &before, nullptr);  // the instruction runs again, with nobody to catch it
    }
}

void handle(int signal, siginfo_t* info, void* context) {
    if (!in_launch) return chain(signal, info, context);
    seen = {signal, info->si_code, info->si_addr};
    scheduler().mark_failed();
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_RSP] = reinterpret_cast<greg_t>(scheduler().host_stack_pointer());
    registers[REG_RIP] = reinterpret_cast<greg_t>(&virtual_gpu_resume);
}

std::string hexadecimal(const void* address) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", address);
    return text;
}

Fault of_memory_access() {
    // The processor does not tell an address that has too many bits.
    if (seen.code == SI_KERNEL) return {Failure::illegal_address, "illegal address, one that no memory can have"};
    if (scheduler().overflows_stack(seen.address)) return {Failure::stack_overflow, "the stack of a thread overflowed"};
    if (dynamic_shared_guards(seen.address))
        return {Failure::illegal_address, "an access behind the end of the dynamic shared memory"};
    return {Failure::illegal_address, "illegal address " + hexadecimal(seen.address) + memory().describe(seen.address)};
}

}  // namespace

FaultHandlers::FaultHandlers() {
    stack_t stack{};
    stack.ss_sp = handler_stack;
    stack.ss_size = sizeof handler_stack;
    sigaltstack(&stack, &previous_stack_);
    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int i = 0; i < signal_count; i++) sigaction(signals[i], &action, &previous[i]);
    seen = {};
    in_launch = true;
}

FaultHandlers::~FaultHandlers() {
    in_launch = false;
    for (int i = 0; i < signal_count; i++) sigaction(signals[i], &previous[i], nullptr);
    sigaltstack(&previous_stack_, nullptr);
}

void describe_fault() {
    Fault& fault = scheduler().fault;
    if (seen.signal == SIGSEGV || seen.signal == SIGBUS) fault = of_memory_access();
    // The compiler's alignment checks end in an illegal instruction.
    if (seen.signal == SIGILL) fault = {Failure::misaligned_address, "a misaligned access"};
    if (seen.signal == SIGFPE) fault = {Failure::arithmetic, "an integer was divided by zero"};
}

}  // namespace virtual_gpu
