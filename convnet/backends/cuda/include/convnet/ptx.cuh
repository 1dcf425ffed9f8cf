// What CUDA C++ has no words for: matrix products on tensor cores and asynchronous copies. All inline PTX is here.
//
// Source: NVIDIA, "Parallel Thread Execution ISA": mma, cp.async, ldmatrix, cvt.
#pragma once

namespace ptx {

// One warp: d (16 x 8) += a (16 x 8) b (8 x 8), operands tf32 in the upper bits of 32-bit words.
// With group = lane / 4 and member = lane % 4:
//   a[0..3] = A[group][member], A[group + 8][member], A[group][member + 4], A[group + 8][member + 4]
//   b[0..1] = B[member][group], B[member + 4][group]
//   d[0..3] = D[group][2 member], D[group][2 member + 1], D[group + 8][2 member], D[group + 8][2 member + 1]
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap();  // the host does not choose this precision on such cards
#endif
}

// One warp: d (16 x 8) += a (16 x 16) b (16 x 8), operands bf16, two to a word with the lower index in the lower half.
//   a[0..3] = A[group][2 member ..], A[group + 8][2 member ..], A[group][2 member + 8 ..], A[group + 8][2 member + 8 ..]
//   b[0..1] = B[2 member ..][group], B[2 member + 8 ..][group]          d as above
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap();
#endif
}

// The nearest tf32 number (ties away from zero); without it the tensor core drops the lower bits.
__device__ __forceinline__ unsigned round_to_tf32(float x) {
    unsigned rounded = __float_as_uint(x);
#if __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
#endif
    return rounded;
}

// Copies BYTES (4, 8 or 16, both addresses so aligned) to shared memory, or zeros if not `valid`: nothing is read then.
// They are there after a commit, a wait for its group, and __syncthreads for the other threads.
template <int BYTES>
__device__ __forceinline__ void cp_async(void* shared, const void* global, bool valid) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
#if __CUDA_ARCH__ >= 800
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    const int taken = valid ? BYTES : 0;
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(taken));
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(global), "n"(BYTES), "r"(taken));
#else
    for (int word = 0; word < BYTES / 4; ++word)
        static_cast<unsigned*>(shared)[word] = valid ? static_cast<const unsigned*>(global)[word] : 0;
#endif
}

// Ends a group of copies.
__device__ __forceinline__ void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;");
#endif
}

// Waits until at most PENDING of this thread's groups are still under way.
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING));
#endif
}

// Four 8 x 8 matrices of 16-bit numbers: lane l gives the address (16-byte aligned) of row l % 8 of matrix l / 8, and
// gets of each matrix the two numbers at [lane / 4][2 (lane % 4) ..], or with _trans at [2 (lane % 4) ..][lane / 4].
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* row) {
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

}  // namespace ptx
