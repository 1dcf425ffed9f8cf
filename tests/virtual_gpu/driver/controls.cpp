// What tests set and ask, by ctypes (controls.py): no part of CUDA.
#include <algorithm>
#include <cstring>
#include <utility>

#include "context.hpp"
#include "module.hpp"
#include "races.hpp"
#include "scheduler.hpp"
#include "statistics.hpp"

namespace virtual_gpu {

Statistics& statistics() {
    static Statistics instance;
    return instance;
}

std::string& last_fault() {
    static std::string text;
    return text;
}

namespace {

std::size_t copy_text(const std::string& text, char* target, std::size_t room) {
    if (room == 0) return text.size();
    const std::size_t bytes = std::min(text.size(), room - 1);
    std::memcpy(target, text.data(), bytes);
    target[bytes] = 0;
    return text.size();
}

const char* name(Allocation::Kind kind) {
    switch (kind) {
        case Allocation::Kind::device: return "device memory";
        case Allocation::Kind::pinned: return "pinned memory";
        case Allocation::Kind::registered: return "registered memory";
        default: return "module memory";
    }
}

// One line for each thing that is alive: what it is, on which device, its bytes.
std::string list_alive() {
    std::string text;
    const auto add = [&](const std::string& what, const Context& context, std::size_t bytes) {
        text += what + "\t" + std::to_string(context.device->index) + "\t" + std::to_string(bytes) + "\n";
    };
    for (const auto& [address, allocation] : memory().all()) add(name(allocation.kind), *allocation.context, allocation.size);
    for (const auto& context : driver().contexts) {
        add(context->primary ? "primary context" : "context", *context, 0);
        for (std::size_t i = 0; i < context->streams.size(); i++) add("stream", *context, 0);
        for (std::size_t i = 0; i < context->modules.size(); i++) add("module", *context, 0);
    }
    for (const auto& event : driver().events) add("event", *event.second->context, 0);
    return text;
}

}  // namespace

}  // namespace virtual_gpu

using namespace virtual_gpu;

extern "C" {

// How many devices are counted; those beyond stay as they are.
int virtual_gpu_set_devices(int count) {
    Lock lock;
    auto& all = driver().devices;
    while (static_cast<int>(all.size()) < count) all.push_back(make_device(static_cast<int>(all.size())));
    return std::exchange(driver().device_count, count);
}

// These give what was set before.
std::size_t virtual_gpu_set_memory(int device, std::size_t bytes) {
    Lock lock;
    return std::exchange(find_device(device)->memory_bytes, bytes);
}

// A capability is a number such as 80.
int virtual_gpu_set_capability(int device, int capability) {
    Lock lock;
    Device& found = *find_device(device);
    const int before = 10 * found.major + found.minor;
    found.major = capability / 10;
    found.minor = capability % 10;
    return before;
}

int virtual_gpu_set_late(int late) {
    Lock lock;
    return std::exchange(driver().late, late != 0);
}

int virtual_gpu_set_thread_order(int order) {
    Lock lock;
    return static_cast<int>(std::exchange(scheduler().thread_order, static_cast<Order>(order)));
}

int virtual_gpu_set_block_order(int order) {
    Lock lock;
    return static_cast<int>(std::exchange(scheduler().block_order, static_cast<Order>(order)));
}

unsigned virtual_gpu_set_seed(unsigned seed) {
    Lock lock;
    return std::exchange(scheduler().seed, seed);
}

int virtual_gpu_set_strict_barriers(int strict) {
    Lock lock;
    return std::exchange(scheduler().strict_barriers, strict != 0);
}

int virtual_gpu_set_races(int enabled) {
    Lock lock;
    return std::exchange(races().enabled, enabled != 0);
}

// How many operations wait in queues.
std::size_t virtual_gpu_pending() {
    Lock lock;
    std::size_t count = 0;
    for (const auto& context : driver().contexts) {
        count += context->default_stream->queue.size();
        for (const auto& stream : context->streams) count += stream->queue.size();
    }
    return count;
}

std::uint64_t virtual_gpu_launches() {
    Lock lock;
    return statistics().launches;
}

// Both give the length of the whole text.
std::size_t virtual_gpu_last_fault(char* target, std::size_t room) {
    Lock lock;
    return copy_text(last_fault(), target, room);
}

std::size_t virtual_gpu_alive(char* target, std::size_t room) {
    Lock lock;
    return copy_text(list_alive(), target, room);
}

// For the look-alikes of other libraries: an operation of theirs in a stream.
CUresult virtual_gpu_enqueue(CUstream handle, CUresult (*run)(void*), void (*destroy)(void*), void* data) {
    Lock lock;
    const auto stream = find_stream(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const std::shared_ptr<void> kept(data, destroy);
    return enqueue(stream, [=] { return run(kept.get()); });
}

// Whether all of these bytes are memory of the device.
int virtual_gpu_known(const void* address, std::size_t bytes) {
    Lock lock;
    return memory().find(address, bytes) != nullptr;
}

}  // extern "C"
