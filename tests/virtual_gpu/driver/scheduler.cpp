#include "scheduler.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "environment.hpp"
#include "races.hpp"
#include "shared_memory.hpp"

namespace virtual_gpu {

Position position;

namespace {

std::string triple(uint3 p) {
    return "(" + std::to_string(p.x) + ", " + std::to_string(p.y) + ", " + std::to_string(p.z) + ")";
}

}  // namespace

Scheduler& scheduler() {
    static Scheduler instance;
    return instance;
}

std::vector<std::uint32_t> sequence(Order order, std::size_t size, unsigned seed) {
    std::vector<std::uint32_t> numbers(size);
    std::iota(numbers.begin(), numbers.end(), 0u);
    if (order == Order::descending) std::reverse(numbers.begin(), numbers.end());
    if (order == Order::shuffled) std::shuffle(numbers.begin(), numbers.end(), std::mt19937(seed));
    return numbers;
}

Scheduler::Scheduler() {
    thread_order = static_cast<Order>(from_environment("VIRTUAL_GPU_THREAD_ORDER", 0));
    block_order = static_cast<Order>(from_environment("VIRTUAL_GPU_BLOCK_ORDER", 0));
    seed = static_cast<unsigned>(from_environment("VIRTUAL_GPU_SEED", 1));
    for (unsigned i = 0; i < max_block_threads; i++) threads_[i].index = i;
}

bool Scheduler::run(const Launch& launch) {
    prepare(launch);
    const auto blocks = static_cast<std::uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
    std::vector<std::uint32_t> shuffled;
    if (block_order == Order::shuffled) shuffled = sequence(block_order, blocks, seed);
    for (std::uint64_t i = 0; i < blocks && !failed_; i++) {
        if (block_order == Order::shuffled) run_block(shuffled[i]);
        else run_block(block_order == Order::ascending ? i : blocks - 1 - i);
    }
    if (races().enabled) races().forget();
    launch_ = nullptr;
    return !failed_;
}

void Scheduler::prepare(const Launch& launch) {
    launch_ = &launch;
    failed_ = false;
    const dim3 block = launch.block;
    count_ = block.x * block.y * block.z;
    thread_sequence_ = sequence(thread_order, count_, seed);
    lane_sequence_ = sequence(thread_order, warp_size, seed);
    positions_.resize(count_);
    for (unsigned i = 0; i < count_; i++)
        positions_[i] = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
    position.block_dim = block;
    position.grid_dim = launch.grid;
    place_dynamic_shared(launch.shared_bytes);
}

void Scheduler::run_block(unsigned long long block) {
    begin_block(block);
    running_ = &take_fiber();
    virtual_gpu_switch(&host_, running_->stack_pointer);
    if (!failed_ && finished_ < count_) {
        fault = {Failure::deadlock, describe_deadlock()};
        failed_ = true;
    }
    if (!failed_ && !dynamic_shared_intact()) {
        fault = {Failure::illegal_address, "a block wrote outside its dynamic shared memory"};
        failed_ = true;
    }
    if (failed_) reset_fibers();
}

void Scheduler::begin_block(unsigned long long block) {
    const dim3 grid = launch_->grid;
    position.block = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                      static_cast<unsigned>(block / grid.x / grid.y)};
    started_ = finished_ = at_barrier_ = ready_size_ = 0;
    votes_ = {0, 1, 0};
    for (unsigned first = 0; first < count_; first += warp_size) {
        const unsigned lanes = std::min(warp_size, count_ - first);
        warps_[first / warp_size] = {lanes == warp_size ? ~0u : (1u << lanes) - 1, 0};
    }
    if (races().enabled) races().begin_block(count_);
    // NaN: shared memory is not zero on a GPU either.
    poison_dynamic_shared();
    const KernelEntry& kernel = *launch_->kernel;
    std::memset(kernel.shared_begin, 0xff, kernel.shared_end - kernel.shared_begin);
}

void Scheduler::fiber_body() { scheduler().work(); }

// What every fiber does: one thread after the other on the same stack, as long as none of them has to wait.
void Scheduler::work() {
    for (;;) {
        while (started_ < count_) start(threads_[thread_sequence_[started_++]]);
        free_fibers_.push_back(running_);
        if (Thread* next = next_ready()) go(*next->fiber);
        else go_to_host();
    }
}

void Scheduler::start(Thread& thread) {
    thread.fiber = running_;
    thread.state = Thread::State::ready;
    thread.copies.clear();
    thread.committed_groups = 0;
    make_current(thread);
    launch_->kernel->run(launch_->arguments);
    finish();
}

void Scheduler::finish() {
    Thread& thread = *current_;
    thread.state = Thread::State::finished;
    finished_++;
    const unsigned warp = thread.index / warp_size;
    warps_[warp].live &= ~(1u << thread.index % warp_size);
    if (warps_[warp].waiting != 0) complete_where_possible(warp);
    if (at_barrier_ != 0) check_barrier();
}

// Leaves the current thread until it is ready again.
void Scheduler::suspend() {
    Thread& thread = *current_;
    if (started_ < count_) go(take_fiber());
    else if (Thread* next = next_ready(); next == nullptr) go_to_host();
    else if (next != &thread) go(*next->fiber);
    make_current(thread);
}

void Scheduler::go(Fiber& next) {
    Fiber& mine = *running_;
    running_ = &next;
    virtual_gpu_switch(&mine.stack_pointer, next.stack_pointer);
}

void Scheduler::go_to_host() { virtual_gpu_switch(&running_->stack_pointer, host_); }

Fiber& Scheduler::take_fiber() {
    if (free_fibers_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>(fibers_.size(), fiber_body));
        free_fibers_.push_back(fibers_.back().get());
    }
    Fiber* fiber = free_fibers_.back();
    free_fibers_.pop_back();
    return *fiber;
}

void Scheduler::reset_fibers() {
    free_fibers_.clear();
    for (auto& fiber : fibers_) {
        fiber->reset();
        free_fibers_.push_back(fiber.get());
    }
}

void Scheduler::make_current(Thread& thread) {
    current_ = &thread;
    position.thread = positions_[thread.index];
    position.lane = thread.index % warp_size;
}

void Scheduler::make_ready(Thread& thread) {
    thread.state = Thread::State::ready;
    ready_[(ready_head_ + ready_size_++) % max_block_threads] = &thread;
}

Thread* Scheduler::next_ready() {
    if (ready_size_ == 0) return nullptr;
    Thread* thread = ready_[ready_head_];
    ready_head_ = (ready_head_ + 1) % max_block_threads;
    ready_size_--;
    return thread;
}

Votes Scheduler::barrier(int predicate) {
    const int vote = predicate != 0;
    votes_ = {votes_.any | vote, votes_.all & vote, votes_.count + vote};
    current_->state = Thread::State::at_barrier;
    at_barrier_++;
    check_barrier();
    suspend();
    return result_;
}

void Scheduler::check_barrier() {
    if (at_barrier_ + finished_ < count_) return;
    if (finished_ != 0 && strict_barriers)
        fail(Failure::barrier, "__syncthreads after some threads of the block have returned");
    release_barrier();
}

void Scheduler::release_barrier() {
    result_ = votes_;
    votes_ = {0, 1, 0};
    at_barrier_ = 0;
    if (races().enabled) races().block_barrier();
    for (const unsigned i : thread_sequence_)
        if (threads_[i].state == Thread::State::at_barrier) make_ready(threads_[i]);
}

void Scheduler::collective(unsigned mask, Collective complete, void* payload) {
    Thread& thread = *current_;
    const unsigned bit = 1u << thread.index % warp_size;
    if ((mask & bit) == 0) fail(Failure::collective, "a lane is not in the mask of its own collective");
    thread.mask = mask;
    thread.collective = complete;
    thread.payload = payload;
    thread.state = Thread::State::in_collective;
    const unsigned warp = thread.index / warp_size;
    warps_[warp].waiting |= bit;
    const unsigned expected = mask & warps_[warp].live;
    if ((warps_[warp].waiting & expected) == expected && all_here(warp, mask, expected)) this->complete(warp, expected);
    suspend();
}

// A lane returned: others may have waited for no one else.
void Scheduler::complete_where_possible(unsigned warp) {
    for (unsigned lane = 0; lane < warp_size; lane++) {
        if ((warps_[warp].waiting >> lane & 1) == 0) continue;
        const unsigned mask = threads_[warp * warp_size + lane].mask;
        const unsigned expected = mask & warps_[warp].live;
        if (all_here(warp, mask, expected)) complete(warp, expected);
    }
}

bool Scheduler::all_here(unsigned warp, unsigned mask, unsigned expected) const {
    for (unsigned lane = 0; lane < warp_size; lane++) {
        if ((expected >> lane & 1) == 0) continue;
        if ((warps_[warp].waiting >> lane & 1) == 0 || threads_[warp * warp_size + lane].mask != mask) return false;
    }
    return true;
}

void Scheduler::complete(unsigned warp, unsigned participants) {
    Thread* first = &threads_[warp * warp_size];
    void* payloads[warp_size] = {};
    Collective function = nullptr;
    for (unsigned lane = 0; lane < warp_size; lane++) {
        if ((participants >> lane & 1) == 0) continue;
        if (function != nullptr && first[lane].collective != function)
            fail(Failure::collective, "lanes of one mask are in different collectives");
        function = first[lane].collective;
        payloads[lane] = first[lane].payload;
    }
    // The function works on the registers of all lanes, in one of them.
    races().paused = true;
    if (function != nullptr) function(payloads, participants);
    races().paused = false;
    if (races().enabled) races().warp_meeting(warp, participants);
    warps_[warp].waiting &= ~participants;
    for (const unsigned lane : lane_sequence_)
        if (participants >> lane & 1) make_ready(first[lane]);
}

void Scheduler::fail(Failure failure, std::string message, const void* code) {
    fault = {failure, std::move(message), code};
    failed_ = true;
    go_to_host();
    __builtin_unreachable();
}

bool Scheduler::overflows_stack(const void* address) const {
    return std::any_of(fibers_.begin(), fibers_.end(), [&](const auto& fiber) { return fiber->guards(address); });
}

std::string Scheduler::place() const { return "block " + triple(position.block) + " " + thread_place(current_->index); }

std::string Scheduler::thread_place(unsigned index) const { return "thread " + triple(positions_[index]); }

std::string Scheduler::describe_deadlock() const {
    unsigned in_collective = 0;
    for (unsigned i = 0; i < count_; i++) in_collective += threads_[i].state == Thread::State::in_collective;
    return "deadlock: of " + std::to_string(count_) + " threads " + std::to_string(at_barrier_) +
           " wait at __syncthreads, " + std::to_string(in_collective) +
           " wait in a warp's collective for lanes that do not come or come with another mask, " +
           std::to_string(finished_) + " have returned";
}

// --- what kernels call

Votes block_barrier(int predicate) { return scheduler().barrier(predicate); }

void warp_collective(unsigned mask, Collective complete, void* payload) {
    scheduler().collective(mask, complete, payload);
}

void fail(Failure failure, const char* message) { scheduler().fail(failure, message); }

}  // namespace virtual_gpu
