// Finds data races: who wrote and who read each number last, and what orders the two.
//
// Kernels that nvcc.py compiled for it call __tsan_read4 and its like at every access; see races.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace virtual_gpu {

enum class AccessKind { read, write, atomic };

// When and by whom: the thread's number in its block; how often its warp had met, from its own point of view; how many
// barriers of blocks there were in the launch. Each block has barriers of its own, so the epoch tells the block too.
struct Access {
    std::uint32_t epoch = 0;  // 0: there was none
    std::uint32_t clock : 21 = 0;
    std::uint32_t thread : 10 = 0;
    std::uint32_t atomic : 1 = 0;
};

// Two readers that nothing orders are enough to find a later write that is not ordered after all of them.
struct Cell {
    Access write;
    Access read;
    Access other_read;
};

class Races {
public:
    Races();

    bool enabled;
    bool paused = false;  // within the virtual GPU's own functions

    void begin_block(unsigned threads);
    // At the end of a launch: the next one is ordered behind it.
    void forget();
    void block_barrier() { epoch_++; }
    void warp_meeting(unsigned warp, unsigned participants);

    // An access of the current thread; `place`, of the machine code that makes it. Ends the launch if it is a race.
    void access(const void* address, std::size_t bytes, AccessKind kind, const void* place);
    // The end of a copy that the current thread asked for at that epoch: nobody may have touched its target since.
    void end_copy(const void* target, std::size_t bytes, std::uint32_t asked, const void* place);
    std::uint32_t epoch() const { return epoch_; }

private:
    // What is known of 4096 bytes: a cell for every `unit` of them, or none where threads share nothing.
    struct Page {
        std::unique_ptr<Cell[]> cells;
        std::size_t unit = 4;
    };

    template <class Visitor>
    void for_cells(std::uintptr_t address, std::size_t bytes, Visitor visit);
    Page& find_page(std::uintptr_t number);
    static bool holds_data(std::uintptr_t number);
    static void split(Page& page);

    void check(Cell& cell, std::uintptr_t address, AccessKind kind, const void* place);
    void note_read(Cell& cell, std::uintptr_t address) const;
    bool before_me(Access access) const;
    bool races(Access access, std::uintptr_t address) const;
    Access mine(AccessKind kind) const;
    // Ends the launch if nothing orders what the current thread does and what another one did.
    void require_order(Access other, bool wrote, std::uintptr_t address, AccessKind kind, const void* place) const;
    [[noreturn]] void report(Access other, bool wrote, std::uintptr_t address, AccessKind kind, const void* place) const;

    using Clocks = std::array<std::uint32_t, 32>;
    std::uint32_t epoch_ = 0;
    std::uint32_t first_epoch_ = 0;  // of the block that runs
    std::vector<Clocks> clocks_;     // of each thread: up to which clock it knows the lanes of its warp
    std::unordered_map<std::uintptr_t, Page> pages_;
    struct Recent {
        std::uintptr_t number = 0;
        Page* page = nullptr;
    };
    std::array<Recent, 1024> recent_{};
};

Races& races();

}  // namespace virtual_gpu
