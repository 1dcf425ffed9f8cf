// Devices and contexts.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <cuda.h>

#include "memory.hpp"
#include "stream.hpp"

namespace virtual_gpu {

struct Module;

struct Device {
    int index = 0;
    std::size_t memory_bytes = 0;
    std::size_t used_bytes = 0;
    int major = 8;
    int minor = 0;
    std::shared_ptr<Context> primary;
    unsigned primary_users = 0;
    unsigned primary_flags = 0;
};

struct Context {
    Device* device;
    bool primary;
    unsigned users = 1;
    std::shared_ptr<Stream> default_stream;
    std::set<std::shared_ptr<Stream>> streams;  // without the default stream
    std::set<Module*> modules;
    std::set<Context*> peers;
    // What went wrong in a stream and was not yet told.
    CUresult error = CUDA_SUCCESS;
};

// The state of the driver. One lock guards all of it; kernels run under it too.
struct Driver {
    std::recursive_mutex mutex;
    bool initialized = false;
    std::vector<std::unique_ptr<Device>> devices;
    int device_count = 0;  // how many of them programs see
    std::set<std::shared_ptr<Context>> contexts;
    std::map<CUevent, std::shared_ptr<Event>> events;
    bool late = true;
};

Driver& driver();

class Lock {
public:
    Lock() : guard_(driver().mutex) {}

private:
    std::lock_guard<std::recursive_mutex> guard_;
};

// The stack of contexts of this thread.
std::vector<Context*>& context_stack();
// Null if there is none.
Context* current_context();
bool is_context(CUcontext handle);
Device* find_device(CUdevice device);
std::unique_ptr<Device> make_device(int index);

std::shared_ptr<Context> create_context(Device& device, bool primary);
// Runs nothing any more: what is queued is dropped, memory is given back.
void destroy_context(Context& context);

inline Context* from_handle(CUcontext handle) { return reinterpret_cast<Context*>(handle); }
inline CUcontext to_handle(Context* context) { return reinterpret_cast<CUcontext>(context); }

}  // namespace virtual_gpu
