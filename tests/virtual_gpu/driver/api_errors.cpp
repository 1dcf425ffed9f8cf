// Names of errors.
#include <cuda.h>

namespace {

struct ErrorName {
    CUresult code;
    const char* name;
};

const ErrorName names[] = {
#include "error_names.inc"  // made from cuda.h by build.py
};

const char* find(CUresult code) {
    for (const ErrorName& entry : names)
        if (entry.code == code) return entry.name;
    return nullptr;
}

}  // namespace

extern "C" {

CUresult cuGetErrorName(CUresult code, const char** text) {
    *text = find(code);
    return *text != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult code, const char** text) { return cuGetErrorName(code, text); }

}  // extern "C"
