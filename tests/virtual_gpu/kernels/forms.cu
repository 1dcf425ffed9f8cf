// The forms in which kernels and their memory may be written.

#define MAKE_KERNEL(name, type) \
    extern "C" __global__ void name(type* x) { twice(x); }

template <class T>
__device__ void twice(T* x) { x[threadIdx.x] *= 2; }

MAKE_KERNEL(twice_float, float)
MAKE_KERNEL(twice_int, int)

/* extern "C" __global__ void in_a_comment(int*); */
extern "C" __global__ void declared_first(float* x);

constexpr int THREADS = 64;

extern "C"
__global__ void
__launch_bounds__(THREADS)
bounded(float* x)
{
    x[threadIdx.x] = THREADS;
}

extern "C" __global__ void declared_first(float* x) { x[threadIdx.x] = 5.f; }

template <int SIZE>
__global__ void a_template(float* x) { x[0] = SIZE; }

struct Pair {
    float first, second;
};

namespace tables {
__constant__ float values[3] = {1.f, 2.f, 3.f};
__device__ float counts[2][2];
}  // namespace tables

extern "C" __global__ void shared_memory(float* x) {
    extern __shared__ __align__(16) unsigned char raw[];
    __shared__ Pair pairs[4];
    __shared__ __align__(16) float aligned[4];
    __shared__ alignas(64) float more_aligned[4];
    static __shared__ float single;
    auto* numbers = reinterpret_cast<float*>(raw);
    if (threadIdx.x == 0) {
        numbers[3] = 1.f;
        pairs[3].second = 2.f;
        aligned[3] = more_aligned[0] = reinterpret_cast<size_t>(more_aligned) % 64 == 0 ? 4.f : 0.f;
        single = 8.f;
        tables::counts[1][1] = 16.f;
    }
    __syncthreads();
    x[threadIdx.x] = numbers[3] + pairs[3].second + aligned[3] + single + tables::counts[1][1] + tables::values[2] * 32;
}

extern "C" __global__ void architecture(int* x) {
#if __CUDA_ARCH__ >= 900
    x[0] = 90;
#else
    x[0] = 80;
#endif
    x[1] = __CUDA_ARCH__;
}

extern "C" __global__ void numbers(float* x, int* i) {
    x[0] = max(1.f, 2.f) + min(3, 4) + max(5u, 6u) + fmaxf(1.f, NAN);
    x[1] = __fmul_rn(1.f + 1.f / 4096, 1.f + 1.f / 4096) - 1.f;
    x[2] = fmaf(1.f + 1.f / 4096, 1.f + 1.f / 4096, -1.f);
    x[3] = rsqrtf(16.f) + __expf(0.f) + __logf(1.f) + __powf(2.f, 3.f) + __fdividef(1.f, 4.f) + __saturatef(7.f);
    const float4 four = make_float4(1, 2, 3, 4);
    x[4] = four.x + four.w + make_float2(5, 6).y + __ldg(&x[0]) + __ldcs(&x[0]);
    i[0] = __umulhi(0x80000000u, 6u);
    i[1] = __popc(0xf0f0u);
    i[2] = __ffs(8);
    i[3] = __clz(1);
    i[4] = __float_as_int(1.f);
    i[5] = __mul24(-3, 5);
    i[6] = __byte_perm(0x03020100, 0x07060504, 0x7531);
    i[7] = __brev(1u) == 0x80000000u;
    i[8] = __float2int_rn(2.5f) + 10 * __float2int_rn(3.5f);
}
