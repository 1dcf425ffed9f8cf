// What all files that implement CUDA's driver functions begin with.
#pragma once

#include <cuda.h>

#include "context.hpp"

#define REQUIRE(condition, error) \
    do {                          \
        if (!(condition)) return error; \
    } while (false)

// Declares `context`, the current one, or ends the function.
#define CURRENT_CONTEXT(context)                        \
    Context* const context = current_context();         \
    REQUIRE(context != nullptr, CUDA_ERROR_INVALID_CONTEXT)

// Declares `stream`, that of a handle, or ends the function.
#define FIND_STREAM(stream, handle)                                         \
    REQUIRE(current_context() != nullptr, CUDA_ERROR_INVALID_CONTEXT);      \
    const std::shared_ptr<Stream> stream = find_stream(handle);             \
    REQUIRE(stream != nullptr, CUDA_ERROR_INVALID_HANDLE)
