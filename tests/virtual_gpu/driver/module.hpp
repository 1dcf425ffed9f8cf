// Modules: shared objects that the nvcc look-alike made; and their functions.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "context.hpp"
#include "scheduler.hpp"

namespace virtual_gpu {

struct Function {
    std::string name;
    const KernelEntry* kernel;
    Module* module;
    int dynamic_shared_limit;

    int static_shared() const { return static_cast<int>(kernel->shared_end - kernel->shared_begin); }
    int max_threads() const;
};

struct Module {
    Module(Context* owner, void* handle, int file) : context(owner), library(handle), image(file) {}
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    Context* context;
    void* library;
    int image;  // the file, which has no name any more, for source_lines.hpp; negative where nobody will ask
    std::map<std::string, std::unique_ptr<Function>> functions;
    std::set<std::uintptr_t> globals;  // addresses that were asked for
};

}  // namespace virtual_gpu
