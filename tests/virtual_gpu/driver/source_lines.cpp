#include "source_lines.hpp"

#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

namespace virtual_gpu {

namespace {

// The first word of each line that names a file of CUDA's.
std::string list_places(std::FILE* lines) {
    std::string places;
    char line[512];
    while (std::fgets(line, sizeof line, lines) != nullptr) {
        const std::string place(line, std::strcspn(line, " \n"));
        if (place.find(".cu") != std::string::npos) places += (places.empty() ? "" : ", ") + place;
    }
    return places;
}

}  // namespace

std::string source_lines(const Module& module, const void* code) {
    Dl_info info{};
    if (module.image < 0 || code == nullptr || dladdr(code, &info) == 0) return {};
    char command[128];
    std::snprintf(command, sizeof command, "addr2line -s -i -e /proc/%d/fd/%d %#tx 2>/dev/null", getpid(), module.image,
                  static_cast<const char*>(code) - 1 - static_cast<const char*>(info.dli_fbase));
    std::FILE* lines = popen(command, "r");
    if (lines == nullptr) return {};
    const std::string places = list_places(lines);
    pclose(lines);
    return places;
}

}  // namespace virtual_gpu
