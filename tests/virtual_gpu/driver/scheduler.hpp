// Runs the blocks of a launch one after the other, the threads of a block as fibers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../include/virtual_gpu/execution.h"
#include "fiber.hpp"

namespace virtual_gpu {

constexpr unsigned warp_size = 32;
constexpr unsigned max_block_threads = 1024;

enum class Order { ascending, descending, shuffled };

struct Launch {
    const KernelEntry* kernel;
    dim3 grid;
    dim3 block;
    unsigned shared_bytes;
    void* const* arguments;
};

// What ended a launch before its time.
struct Fault {
    Failure failure;
    std::string message;
    const void* code = nullptr;  // the machine code that it happened in, where that is known
};

struct Copy {
    void* shared;
    const void* global;
    unsigned bytes;
    bool valid;
    unsigned group;
    std::uint32_t asked;    // when, in barriers, and by which machine code (races.hpp)
    const void* place;
};

struct Thread {
    enum class State : std::uint8_t { fresh, ready, at_barrier, in_collective, finished };

    Fiber* fiber = nullptr;
    unsigned index = 0;
    State state = State::fresh;
    unsigned mask = 0;
    Collective collective = nullptr;
    void* payload = nullptr;
    std::vector<Copy> copies;       // cp.async: asked for and not yet made
    unsigned committed_groups = 0;
};

struct Warp {
    unsigned live = 0;     // lanes that have not returned
    unsigned waiting = 0;  // lanes in a collective
};

class Scheduler {
public:
    Scheduler();

    // Runs a launch; true when it ended well, otherwise `fault` says why not.
    bool run(const Launch& launch);

    // What kernels call, through execution.h.
    Votes barrier(int predicate);
    void collective(unsigned mask, Collective complete, void* payload);
    [[noreturn]] void fail(Failure failure, std::string message, const void* code = nullptr);
    Thread& current() { return *current_; }
    const KernelEntry& kernel() const { return *launch_->kernel; }

    // For the signal handler, which leaves the fiber itself.
    void* host_stack_pointer() const { return host_; }
    void mark_failed() { failed_ = true; }

    bool on_own_stack(const void* address) const { return running_->holds(address); }
    bool overflows_stack(const void* address) const;
    // Where the current thread is: "block (0, 0, 0) thread (1, 0, 0)".
    std::string place() const;
    // A thread of the current block: "thread (1, 0, 0)".
    std::string thread_place(unsigned index) const;

    Order thread_order = Order::ascending;
    Order block_order = Order::ascending;
    unsigned seed = 1;
    bool strict_barriers = true;
    Fault fault{};

private:
    void prepare(const Launch& launch);
    void run_block(unsigned long long block);
    void begin_block(unsigned long long block);
    static void fiber_body();
    void work();
    void start(Thread& thread);
    void finish();
    void suspend();
    void go(Fiber& next);
    void go_to_host();
    Fiber& take_fiber();
    void reset_fibers();
    void make_current(Thread& thread);
    void make_ready(Thread& thread);
    Thread* next_ready();
    void check_barrier();
    void release_barrier();
    void complete_where_possible(unsigned warp);
    bool all_here(unsigned warp, unsigned mask, unsigned expected) const;
    void complete(unsigned warp, unsigned participants);
    std::string describe_deadlock() const;

    const Launch* launch_ = nullptr;
    bool failed_ = false;
    void* host_ = nullptr;  // the launching thread's own stack
    Fiber* running_ = nullptr;
    Thread* current_ = nullptr;
    unsigned count_ = 0;    // threads of a block
    unsigned started_ = 0;  // how many of thread_sequence_ were started
    unsigned finished_ = 0;
    unsigned at_barrier_ = 0;
    Votes votes_{};   // of the barrier that fills
    Votes result_{};  // of the barrier that was released last
    std::vector<Thread> threads_{max_block_threads};
    std::array<Warp, max_block_threads / warp_size> warps_{};
    std::vector<std::uint32_t> thread_sequence_;
    std::vector<std::uint32_t> lane_sequence_;
    std::vector<uint3> positions_;
    std::array<Thread*, max_block_threads> ready_{};  // a ring: a thread is in it once at most
    unsigned ready_head_ = 0;
    unsigned ready_size_ = 0;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> free_fibers_;
};

Scheduler& scheduler();

// A permutation of 0 .. size - 1.
std::vector<std::uint32_t> sequence(Order order, std::size_t size, unsigned seed);

}  // namespace virtual_gpu
