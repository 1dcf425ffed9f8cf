// Modules and functions.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include "api.hpp"
#include "limits.hpp"
#include "module.hpp"
#include "races.hpp"

using namespace virtual_gpu;

namespace virtual_gpu {

Module::~Module() {
    for (const std::uintptr_t address : globals) memory().remove(address);
    dlclose(library);
    if (image >= 0) close(image);
}

int Function::max_threads() const { return kernel->max_threads != 0 ? static_cast<int>(kernel->max_threads) : 1024; }

}  // namespace virtual_gpu

namespace {

Module* from_handle(CUmodule handle) { return reinterpret_cast<Module*>(handle); }
Function* from_handle(CUfunction handle) { return reinterpret_cast<Function*>(handle); }

std::size_t image_bytes(const void* image) {
    const auto* header = static_cast<const Elf64_Ehdr*>(image);
    if (std::memcmp(header, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64) return 0;
    return header->e_shoff + std::size_t{header->e_shentsize} * header->e_shnum;
}

// The dynamic linker loads files only, and the same name only once: the image becomes a file for a moment.
Module* load(Context* context, const void* image, std::size_t bytes) {
    const char* folder = std::getenv("TMPDIR");
    std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/virtual-gpu-XXXXXX";
    const int file = mkstemp(path.data());
    if (file < 0) return nullptr;
    const bool written = write(file, image, bytes) == static_cast<ssize_t>(bytes);
    void* library = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    unlink(path.c_str());
    const bool keep = library != nullptr && races().enabled;
    if (!keep) close(file);
    return library != nullptr ? new Module(context, library, keep ? file : -1) : nullptr;
}

CUresult load_module(CUmodule* handle, const void* image) {
    CURRENT_CONTEXT(context);
    const std::size_t bytes = image_bytes(image);
    if (bytes == 0) {
        std::fprintf(stderr, "virtual GPU: this module was not made by the virtual GPU's nvcc\n");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    Module* module = load(context, image, bytes);
    if (module == nullptr) {
        std::fprintf(stderr, "virtual GPU: %s\n", dlerror());
        return CUDA_ERROR_INVALID_IMAGE;
    }
    context->modules.insert(module);
    *handle = reinterpret_cast<CUmodule>(module);
    return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule* handle, const void* image) {
    Lock lock;
    return load_module(handle, image);
}

CUresult cuModuleLoadDataEx(CUmodule* handle, const void* image, unsigned, CUjit_option*, void**) {
    Lock lock;
    return load_module(handle, image);
}

CUresult cuModuleLoad(CUmodule* handle, const char* path) {
    Lock lock;
    std::FILE* file = std::fopen(path, "rb");
    REQUIRE(file != nullptr, CUDA_ERROR_FILE_NOT_FOUND);
    std::vector<char> image;
    for (int byte = std::fgetc(file); byte != EOF; byte = std::fgetc(file)) image.push_back(static_cast<char>(byte));
    std::fclose(file);
    image.resize(std::max(image.size(), sizeof(Elf64_Ehdr)));
    return load_module(handle, image.data());
}

CUresult cuModuleUnload(CUmodule handle) {
    Lock lock;
    Module* module = from_handle(handle);
    for (const auto& context : driver().contexts) {
        if (context->modules.erase(module) == 0) continue;
        drain(*context);  // its kernels may still be queued
        delete module;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuModuleGetFunction(CUfunction* handle, CUmodule module_handle, const char* name) {
    Lock lock;
    Module* module = from_handle(module_handle);
    const void* entry = dlsym(module->library, (std::string("virtual_gpu_kernel_") + name).c_str());
    REQUIRE(entry != nullptr, CUDA_ERROR_NOT_FOUND);
    auto& function = module->functions[name];
    if (function == nullptr) {
        const auto* kernel = static_cast<const KernelEntry*>(entry);
        function = std::make_unique<Function>(Function{name, kernel, module, default_shared});
    }
    *handle = reinterpret_cast<CUfunction>(function.get());
    return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal(CUdeviceptr* pointer, size_t* bytes, CUmodule handle, const char* name) {
    Lock lock;
    Module* module = from_handle(handle);
    void* address = dlsym(module->library, name);
    REQUIRE(address != nullptr, CUDA_ERROR_NOT_FOUND);
    Dl_info info{};
    const ElfW(Sym)* symbol = nullptr;
    REQUIRE(dladdr1(address, &info, reinterpret_cast<void**>(const_cast<ElfW(Sym)**>(&symbol)), RTLD_DL_SYMENT) != 0, CUDA_ERROR_NOT_FOUND);
    memory().add(address, symbol->st_size, module->context, Allocation::Kind::module);
    module->globals.insert(reinterpret_cast<std::uintptr_t>(address));
    if (pointer != nullptr) *pointer = reinterpret_cast<CUdeviceptr>(address);
    if (bytes != nullptr) *bytes = symbol->st_size;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
    Lock lock;
    const Function& function = *from_handle(handle);
    const Device& device = *function.module->context->device;
    switch (attribute) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = function.max_threads(); break;
        case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = function.static_shared(); break;
        case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 65536 / 1024; break;
        case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = 10 * device.major + device.minor; break;
        case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = function.dynamic_shared_limit; break;
        default: *value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
    Lock lock;
    Function& function = *from_handle(handle);
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return CUDA_SUCCESS;
    REQUIRE(attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CUDA_ERROR_INVALID_VALUE);
    const int most = max_shared_per_block(*function.module->context->device);
    REQUIRE(value >= 0 && value <= most, CUDA_ERROR_INVALID_VALUE);
    function.dynamic_shared_limit = value;
    return CUDA_SUCCESS;
}

// Of the old way to launch, which PyCUDA still goes half of: the launch itself says both again.
CUresult cuFuncSetBlockShape(CUfunction, int, int, int) { return CUDA_SUCCESS; }
CUresult cuFuncSetSharedSize(CUfunction, unsigned) { return CUDA_SUCCESS; }

CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { return CUDA_SUCCESS; }

}  // extern "C"
