#include "kernels/mistake.cuh"

extern "C" __global__ void
__launch_bounds__(
    64)
right(float* x) {
    extern __shared__
        float
        kept[];
    kept[threadIdx.x] = x[0];
}

// The mistake of this file is in line 16.
extern "C" __global__ void broken(float* x) {
#ifndef IN_HEADER
    x[0] = undeclared_here;
#endif
}
