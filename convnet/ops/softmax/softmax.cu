// Softmax: see convnet/ops/softmax. One block a case; what it reads again is still in a cache.

#include <convnet/reduce.cuh>
#include <convnet/span.cuh>

extern "C" __global__ void fprop(const act* x, act* y, int classes) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(classes);
    float largest = Max::START, total = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) largest = Max()(largest, to_float(x[start + j]));
    largest = reduce_block(largest, shared, Max());
    for (int j = threadIdx.x; j < classes; j += blockDim.x) total += expf(to_float(x[start + j]) - largest);
    total = reduce_block(total, shared, Sum());
    for (int j = threadIdx.x; j < classes; j += blockDim.x)
        put(&y[start + j], expf(to_float(x[start + j]) - largest) / total);
}

extern "C" __global__ void bprop(const act* dy, const act* y, act* dx, int classes, int accumulate) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(classes);
    float mean = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) mean += to_float(dy[start + j]) * to_float(y[start + j]);
    mean = reduce_block(mean, shared, Sum());
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        const float gradient = to_float(y[start + j]) * (to_float(dy[start + j]) - mean);
        store_or_add(&dx[start + j], gradient, accumulate);
    }
}
