// Neurons on the GPU: see convnet/ops/neuron. PACK numbers a thread; the last few of an array one by one.

#include <convnet/neuron.cuh>
#include <convnet/span.cuh>

extern "C" __global__ void fprop(const act* x, act* y, long long size, int code, float a, float b) {
    const long long first = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * PACK;
    if (first + PACK <= size) {
        float v[PACK];
        load_span<PACK>(x + first, v);
#pragma unroll
        for (int i = 0; i < PACK; ++i) v[i] = neuron(code, a, b, v[i]);
        store_span<PACK>(y + first, v);
    } else {
        for (long long i = first; i < size; ++i) put(&y[i], neuron(code, a, b, to_float(x[i])));
    }
}

extern "C" __global__ void bprop(
    const act* dy, const act* xy, act* dx, long long size, int code, float a, float b, int accumulate) {
    const long long first = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * PACK;
    if (first + PACK <= size) {
        float above[PACK], v[PACK];
        load_span<PACK>(dy + first, above);
        load_span<PACK>(xy + first, v);
#pragma unroll
        for (int i = 0; i < PACK; ++i) v[i] = above[i] * neuron_slope(code, a, b, v[i]);
        store_or_add<PACK>(dx + first, v, accumulate);
    } else {
        for (long long i = first; i < size; ++i)
            store_or_add(&dx[i], to_float(dy[i]) * neuron_slope(code, a, b, to_float(xy[i])), accumulate);
    }
}
