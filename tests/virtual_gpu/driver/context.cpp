#include "context.hpp"

#include <algorithm>

#include "environment.hpp"
#include "module.hpp"

namespace virtual_gpu {

namespace {

constexpr std::size_t default_devices = 2;
constexpr std::size_t default_memory = std::size_t{1} << 30;
constexpr std::size_t default_capability = 80;

}  // namespace

std::unique_ptr<Device> make_device(int index) {
    auto device = std::make_unique<Device>();
    device->index = index;
    device->memory_bytes = from_environment("VIRTUAL_GPU_MEMORY", default_memory);
    const auto capability = static_cast<int>(from_environment("VIRTUAL_GPU_CAPABILITY", default_capability));
    device->major = capability / 10;
    device->minor = capability % 10;
    return device;
}

Driver& driver() {
    // Never destroyed: others still call while the process ends.
    static Driver& instance = []() -> Driver& {
        auto* made = new Driver;
        made->device_count = static_cast<int>(from_environment("VIRTUAL_GPU_DEVICES", default_devices));
        for (int i = 0; i < made->device_count; i++) made->devices.push_back(make_device(i));
        made->late = from_environment("VIRTUAL_GPU_LATE", 1) != 0;
        return *made;
    }();
    return instance;
}

std::vector<Context*>& context_stack() {
    thread_local std::vector<Context*> stack;
    return stack;
}

Context* current_context() { return context_stack().empty() ? nullptr : context_stack().back(); }

bool is_context(CUcontext handle) {
    return std::any_of(driver().contexts.begin(), driver().contexts.end(),
                       [&](const auto& context) { return to_handle(context.get()) == handle; });
}

Device* find_device(CUdevice device) {
    return device >= 0 && device < driver().device_count ? driver().devices[device].get() : nullptr;
}

std::shared_ptr<Context> create_context(Device& device, bool primary) {
    auto context = std::make_shared<Context>();
    context->device = &device;
    context->primary = primary;
    context->default_stream = create_stream(*context, true, 0);
    driver().contexts.insert(context);
    return context;
}

void destroy_context(Context& context) {
    drop_queues(context);
    for (Module* module : context.modules) delete module;
    std::erase_if(driver().events, [&](const auto& event) { return event.second->context == &context; });
    for (const auto& [address, allocation] : memory().all())
        if (allocation.context == &context && allocation.kind == Allocation::Kind::device)
            context.device->used_bytes -= allocation.size;
    memory().remove_all(&context);
    for (const auto& other : driver().contexts) other->peers.erase(&context);
    std::erase_if(driver().contexts, [&](const auto& other) { return other.get() == &context; });
}

}  // namespace virtual_gpu
