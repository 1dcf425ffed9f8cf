// cp.async: copies that are made at the wait and no earlier.
#include <algorithm>
#include <cstring>

#include "races.hpp"
#include "scheduler.hpp"

namespace virtual_gpu {

namespace {

void make(const Copy& copy) {
    if (races().enabled) {
        if (copy.valid) races().access(copy.global, copy.bytes, AccessKind::read, copy.place);
        races().end_copy(copy.shared, copy.bytes, copy.asked, copy.place);
    }
    if (copy.valid) std::memcpy(copy.shared, copy.global, copy.bytes);
    else std::memset(copy.shared, 0, copy.bytes);
}

// Faults here, at the copy's own place, rather than at the wait.
void touch(const void* global, unsigned bytes) {
    auto* byte = static_cast<const volatile char*>(global);
    (void)byte[0];
    (void)byte[bytes - 1];
}

}  // namespace

void async_copy(void* shared, const void* global, unsigned bytes, bool valid) {
    require_shared(shared, bytes, bytes, "cp.async");
    if (reinterpret_cast<std::uintptr_t>(global) % bytes != 0)
        scheduler().fail(Failure::misaligned_address, "cp.async: an address in global memory is misaligned");
    if (valid) touch(global, bytes);
    const void* place = __builtin_return_address(0);
    if (races().enabled) {
        // The copy may be made at any time from now on.
        if (valid) races().access(global, bytes, AccessKind::read, place);
        races().access(shared, bytes, AccessKind::write, place);
    }
    Thread& thread = scheduler().current();
    thread.copies.push_back({shared, global, bytes, valid, thread.committed_groups, races().epoch(), place});
}

void async_commit() { scheduler().current().committed_groups++; }

void async_wait(unsigned pending_groups) {
    Thread& thread = scheduler().current();
    const auto late = std::find_if(thread.copies.begin(), thread.copies.end(), [&](const Copy& copy) {
        return copy.group + pending_groups >= thread.committed_groups;
    });
    std::for_each(thread.copies.begin(), late, make);
    thread.copies.erase(thread.copies.begin(), late);
}

}  // namespace virtual_gpu
