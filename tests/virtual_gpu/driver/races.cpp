#include "races.hpp"

#include <algorithm>

#include "environment.hpp"
#include "memory.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"

namespace virtual_gpu {

namespace {

constexpr std::size_t page_bytes = 4096;

}  // namespace

Races& races() {
    static Races instance;
    return instance;
}

Races::Races() : enabled(from_environment("VIRTUAL_GPU_RACES", 0) != 0), clocks_(max_block_threads) {}

void Races::forget() {
    pages_.clear();
    recent_.fill({});
    epoch_ = 0;
    paused = false;
}

void Races::begin_block(unsigned threads) {
    first_epoch_ = ++epoch_;
    for (unsigned i = 0; i < threads; i++) {
        clocks_[i].fill(0);
        clocks_[i][i % warp_size] = 1;
    }
}

// Who takes part knows from here on what all the others knew.
void Races::warp_meeting(unsigned warp, unsigned participants) {
    Clocks* lanes = &clocks_[warp * warp_size];
    Clocks all{};
    for (unsigned lane = 0; lane < warp_size; lane++)
        if (participants >> lane & 1)
            for (unsigned i = 0; i < warp_size; i++) all[i] = std::max(all[i], lanes[lane][i]);
    for (unsigned lane = 0; lane < warp_size; lane++)
        if (participants >> lane & 1) {
            lanes[lane] = all;
            lanes[lane][lane]++;
        }
}

void Races::access(const void* address, std::size_t bytes, AccessKind kind, const void* place) {
    for_cells(reinterpret_cast<std::uintptr_t>(address), bytes,
              [&](Cell& cell, std::uintptr_t at) { check(cell, at, kind, place); });
}

void Races::end_copy(const void* target, std::size_t bytes, std::uint32_t asked, const void* place) {
    for_cells(reinterpret_cast<std::uintptr_t>(target), bytes, [&](Cell& cell, std::uintptr_t at) {
        if (cell.write.epoch > asked) report(cell.write, true, at, AccessKind::write, place);
        for (const Access read : {cell.read, cell.other_read})
            if (read.epoch > asked) report(read, false, at, AccessKind::write, place);
        check(cell, at, AccessKind::write, place);
    });
}

// --- where cells are

template <class Visitor>
void Races::for_cells(std::uintptr_t address, std::size_t bytes, Visitor visit) {
    for (std::size_t done = 0; done < bytes;) {
        const std::uintptr_t first = address + done;
        const std::size_t offset = first % page_bytes;
        const std::size_t count = std::min(bytes - done, page_bytes - offset);
        done += count;
        Page& page = find_page(first / page_bytes);
        if (page.cells == nullptr) continue;
        if ((offset | count) % page.unit != 0) split(page);
        for (std::size_t i = offset; i < offset + count; i += page.unit)
            visit(page.cells[i / page.unit], first - offset + i);
    }
}

Races::Page& Races::find_page(std::uintptr_t number) {
    Recent& recent = recent_[number % recent_.size()];
    if (recent.page == nullptr || recent.number != number) {
        const auto [found, is_new] = pages_.try_emplace(number);
        Page& page = found->second;
        if (is_new && holds_data(number)) page.cells = std::make_unique<Cell[]>(page_bytes / page.unit);
        recent = {number, &page};
    }
    return *recent.page;
}

bool Races::holds_data(std::uintptr_t number) {
    const std::uintptr_t first = number * page_bytes, last = first + page_bytes;
    return memory().overlaps(first, last) || overlaps_shared(first, last);
}

// From here on a cell for every byte.
void Races::split(Page& page) {
    auto cells = std::make_unique<Cell[]>(page_bytes);
    for (std::size_t i = 0; i < page_bytes; i++) cells[i] = page.cells[i / page.unit];
    page = {std::move(cells), 1};
}

// --- what is a race

void Races::check(Cell& cell, std::uintptr_t address, AccessKind kind, const void* place) {
    const bool atomics = kind == AccessKind::atomic && cell.write.atomic;
    if (!atomics) require_order(cell.write, true, address, kind, place);
    if (kind == AccessKind::read) return note_read(cell, address);
    require_order(cell.read, false, address, kind, place);
    require_order(cell.other_read, false, address, kind, place);
    cell.write = mine(kind);
}

void Races::note_read(Cell& cell, std::uintptr_t address) const {
    const auto warp = [](Access access) { return access.thread / warp_size; };
    if (!races(cell.read, address)) cell.read = mine(AccessKind::read);
    else if (!races(cell.other_read, address) || warp(cell.other_read) == warp(cell.read))
        cell.other_read = mine(AccessKind::read);
}

void Races::require_order(Access other, bool wrote, std::uintptr_t address, AccessKind kind, const void* place) const {
    if (races(other, address)) report(other, wrote, address, kind, place);
}

Access Races::mine(AccessKind kind) const {
    const unsigned thread = scheduler().current().index;
    Access access;
    access.epoch = epoch_;
    access.clock = clocks_[thread][thread % warp_size];
    access.thread = thread;
    access.atomic = kind == AccessKind::atomic;
    return access;
}

bool Races::races(Access access, std::uintptr_t address) const {
    if (before_me(access)) return false;
    // The next block's shared memory is another one, at the same place.
    return access.epoch >= first_epoch_ || !overlaps_shared(address, address + 1);
}

// Whether an access is ordered before all that the current thread does from now on.
bool Races::before_me(Access access) const {
    if (access.epoch == 0) return true;
    if (access.epoch < first_epoch_) return false;  // of another block
    const unsigned me = scheduler().current().index;
    if (access.epoch < epoch_ || access.thread == me) return true;
    return access.thread / warp_size == me / warp_size && access.clock <= clocks_[me][access.thread % warp_size];
}

void Races::report(Access other, bool wrote, std::uintptr_t address, AccessKind kind, const void* place) const {
    std::string message = std::string("race: ") + (kind == AccessKind::read ? "reads " : "writes ") +
                          (overlaps_shared(address, address + 1) ? "shared" : "device") + " memory that " +
                          (other.epoch < first_epoch_ ? "another block" : scheduler().thread_place(other.thread)) +
                          (wrote ? " wrote" : " read") + ", in no order";
    scheduler().fail(Failure::race, std::move(message), place);
}

// --- what kernels call, through execution.h

void begin_atomic(const void* target, unsigned bytes) {
    if (!races().enabled) return;
    races().access(target, bytes, AccessKind::atomic, __builtin_return_address(0));
    races().paused = true;
}

void end_atomic() { races().paused = false; }

void note_read(const void* address, unsigned bytes) {
    if (races().enabled) races().access(address, bytes, AccessKind::read, __builtin_return_address(0));
}

namespace {

inline __attribute__((always_inline)) void seen(const void* address, std::size_t bytes, AccessKind kind) {
    Races& all = races();
    if (!all.enabled || all.paused || scheduler().on_own_stack(address)) return;
    all.access(address, bytes, kind, __builtin_return_address(0));
}

}  // namespace

}  // namespace virtual_gpu

using virtual_gpu::AccessKind;
using virtual_gpu::seen;

// What g++ -fsanitize=thread calls.
#define ACCESSES(bytes)                                                                                \
    void __tsan_read##bytes(void* address) { seen(address, bytes, AccessKind::read); }                 \
    void __tsan_write##bytes(void* address) { seen(address, bytes, AccessKind::write); }               \
    void __tsan_unaligned_read##bytes(void* address) { seen(address, bytes, AccessKind::read); }       \
    void __tsan_unaligned_write##bytes(void* address) { seen(address, bytes, AccessKind::write); }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void* address, std::size_t bytes) { seen(address, bytes, AccessKind::read); }
void __tsan_write_range(void* address, std::size_t bytes) { seen(address, bytes, AccessKind::write); }
}
