// The macros by which device code tells nvcc and the architecture. They come after NVIDIA's own headers, which would
// offer PTX otherwise.
#pragma once

#define __CUDACC__ 1
#define __CUDA_ARCH__ VIRTUAL_GPU_ARCH
