// libcublas.so.13: handles and matrix products, as far as the project calls them.
#include <cstdio>
#include <initializer_list>

#include "types.hpp"

namespace {

constexpr int version = 130000;

Handle* from(void* handle) { return static_cast<Handle*>(handle); }

bool leading_fits(const Matrix& matrix, std::int64_t rows, std::int64_t columns) {
    return matrix.leading >= (matrix.transposition == plain ? rows : columns) && matrix.leading > 0;
}

bool supported(const Product& product, int compute_type) {
    for (const cudaDataType type : {product.a.type, product.b.type, product.c.type})
        if (type != CUDA_R_32F && type != CUDA_R_16BF) return false;
    // cuBLAS has no products of mixed operands, nor one of float32 into bfloat16.
    if (product.a.type != product.b.type) return false;
    if (product.a.type == CUDA_R_32F && product.c.type != CUDA_R_32F) return false;
    return compute_type == compute_32f || compute_type == compute_32f_pedantic || compute_type == compute_32f_fast_tf32;
}

CUresult run(void* product) { return compute(*static_cast<Product*>(product)); }
void destroy(void* product) { delete static_cast<Product*>(product); }

void take_factors(Product& product, const Handle& handle, const void* alpha, const void* beta) {
    const auto* a = static_cast<const float*>(alpha);
    const auto* b = static_cast<const float*>(beta);
    product.device_alpha = handle.pointer_mode == device_pointers ? a : nullptr;
    product.device_beta = handle.pointer_mode == device_pointers ? b : nullptr;
    if (handle.pointer_mode == host_pointers) {
        product.alpha = *a;
        product.beta = *b;
    }
}

Status multiply(void* handle, Product product, const void* alpha, const void* beta, int compute_type) {
    if (handle == nullptr) return not_initialized;
    if (product.m < 0 || product.n < 0 || product.k < 0 || product.batch < 0) return invalid_value;
    if (!leading_fits(product.a, product.m, product.k) || !leading_fits(product.b, product.k, product.n) ||
        !leading_fits(product.c, product.m, product.n))
        return invalid_value;
    if (!supported(product, compute_type)) return not_supported;
    take_factors(product, *from(handle), alpha, beta);
    const bool wanted = compute_type == compute_32f_fast_tf32 ||
                        (compute_type == compute_32f && from(handle)->math_mode == tf32_math);
    product.tf32 = wanted && product.a.type == CUDA_R_32F;
    const CUresult result = virtual_gpu_enqueue(from(handle)->stream, run, destroy, new Product(product));
    return result == CUDA_SUCCESS ? success : execution_failed;
}

}  // namespace

extern "C" {

Status cublasCreate_v2(void** handle) {
    CUcontext context = nullptr;
    cuCtxGetCurrent(&context);
    if (context == nullptr) return not_initialized;
    *handle = new Handle;
    return success;
}

Status cublasDestroy_v2(void* handle) {
    if (handle == nullptr) return not_initialized;
    delete from(handle);
    return success;
}

Status cublasGetVersion_v2(void*, int* value) {
    *value = version;
    return success;
}

Status cublasGetProperty(libraryPropertyType part, int* value) {
    *value = part == MAJOR_VERSION ? version / 10000 : part == MINOR_VERSION ? version / 100 % 100 : version % 100;
    return success;
}

std::size_t cublasGetCudartVersion() { return CUDA_VERSION; }

Status cublasSetStream_v2(void* handle, CUstream stream) {
    from(handle)->stream = stream;
    return success;
}

Status cublasGetStream_v2(void* handle, CUstream* stream) {
    *stream = from(handle)->stream;
    return success;
}

Status cublasSetWorkspace_v2(void*, void* workspace, std::size_t bytes) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(workspace) % 256 == 0;
    return aligned && (bytes == 0 || virtual_gpu_known(workspace, bytes)) ? success : invalid_value;
}

Status cublasSetPointerMode_v2(void* handle, int mode) {
    from(handle)->pointer_mode = mode;
    return success;
}

Status cublasGetPointerMode_v2(void* handle, int* mode) {
    *mode = from(handle)->pointer_mode;
    return success;
}

Status cublasSetMathMode(void* handle, int mode) {
    from(handle)->math_mode = mode;
    return success;
}

Status cublasGetMathMode(void* handle, int* mode) {
    *mode = from(handle)->math_mode;
    return success;
}

Status cublasSetAtomicsMode(void* handle, int mode) {
    from(handle)->atomics_mode = mode;
    return success;
}

Status cublasGetAtomicsMode(void* handle, int* mode) {
    *mode = from(handle)->atomics_mode;
    return success;
}

const char* cublasGetStatusName(Status status) {
    switch (status) {
        case success: return "CUBLAS_STATUS_SUCCESS";
        case not_initialized: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case invalid_value: return "CUBLAS_STATUS_INVALID_VALUE";
        case execution_failed: return "CUBLAS_STATUS_EXECUTION_FAILED";
        default: return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
}

const char* cublasGetStatusString(Status status) { return cublasGetStatusName(status); }

Status cublasGemmStridedBatchedEx_64(void* handle, int transa, int transb, std::int64_t m, std::int64_t n,
                                     std::int64_t k, const void* alpha, const void* a, cudaDataType a_type,
                                     std::int64_t lda, long long stride_a, const void* b, cudaDataType b_type,
                                     std::int64_t ldb, long long stride_b, const void* beta, void* c,
                                     cudaDataType c_type, std::int64_t ldc, long long stride_c, std::int64_t batch,
                                     int compute_type, int) {
    const Product product{m, n, k, batch, {a, a_type, lda, stride_a, transa}, {b, b_type, ldb, stride_b, transb},
                          {c, c_type, ldc, stride_c, plain}, false, 0, 0, nullptr, nullptr};
    return multiply(handle, product, alpha, beta, compute_type);
}

Status cublasGemmStridedBatchedEx(void* handle, int transa, int transb, int m, int n, int k, const void* alpha,
                                  const void* a, cudaDataType a_type, int lda, long long stride_a, const void* b,
                                  cudaDataType b_type, int ldb, long long stride_b, const void* beta, void* c,
                                  cudaDataType c_type, int ldc, long long stride_c, int batch, int compute_type,
                                  int algorithm) {
    return cublasGemmStridedBatchedEx_64(handle, transa, transb, m, n, k, alpha, a, a_type, lda, stride_a, b, b_type,
                                         ldb, stride_b, beta, c, c_type, ldc, stride_c, batch, compute_type, algorithm);
}

Status cublasGemmEx_64(void* handle, int transa, int transb, std::int64_t m, std::int64_t n, std::int64_t k,
                       const void* alpha, const void* a, cudaDataType a_type, std::int64_t lda, const void* b,
                       cudaDataType b_type, std::int64_t ldb, const void* beta, void* c, cudaDataType c_type,
                       std::int64_t ldc, int compute_type, int algorithm) {
    return cublasGemmStridedBatchedEx_64(handle, transa, transb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
                                         beta, c, c_type, ldc, 0, 1, compute_type, algorithm);
}

Status cublasGemmEx(void* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* a,
                    cudaDataType a_type, int lda, const void* b, cudaDataType b_type, int ldb, const void* beta,
                    void* c, cudaDataType c_type, int ldc, int compute_type, int algorithm) {
    return cublasGemmEx_64(handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc,
                           compute_type, algorithm);
}

Status cublasSgemm_v2(void* handle, int transa, int transb, int m, int n, int k, const float* alpha, const float* a,
                      int lda, const float* b, int ldb, const float* beta, float* c, int ldc) {
    return cublasGemmEx_64(handle, transa, transb, m, n, k, alpha, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, beta, c,
                           CUDA_R_32F, ldc, compute_32f, -1);
}

Status cublasSgemm_v2_64(void* handle, int transa, int transb, std::int64_t m, std::int64_t n, std::int64_t k,
                         const float* alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                         const float* beta, float* c, std::int64_t ldc) {
    return cublasGemmEx_64(handle, transa, transb, m, n, k, alpha, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, beta, c,
                           CUDA_R_32F, ldc, compute_32f, -1);
}

Status cublasSgemmStridedBatched(void* handle, int transa, int transb, int m, int n, int k, const float* alpha,
                                 const float* a, int lda, long long stride_a, const float* b, int ldb,
                                 long long stride_b, const float* beta, float* c, int ldc, long long stride_c,
                                 int batch) {
    return cublasGemmStridedBatchedEx_64(handle, transa, transb, m, n, k, alpha, a, CUDA_R_32F, lda, stride_a, b,
                                         CUDA_R_32F, ldb, stride_b, beta, c, CUDA_R_32F, ldc, stride_c, batch,
                                         compute_32f, -1);
}

}  // extern "C"
