// Signals that a kernel causes become CUDA errors.
#pragma once

#include <csignal>
#include <vector>

namespace virtual_gpu {

// While one exists, SIGSEGV and its like end the launch that this thread runs; those of other threads, and those that
// are none of a kernel's business, go to whoever handled them before.
class FaultHandlers {
public:
    FaultHandlers();
    ~FaultHandlers();
    FaultHandlers(const FaultHandlers&) = delete;
    FaultHandlers& operator=(const FaultHandlers&) = delete;

private:
    stack_t previous_stack_{};
};

// Puts what the signal handler saw into words, in scheduler().fault. Call it after a launch that failed.
void describe_fault();

}  // namespace virtual_gpu
