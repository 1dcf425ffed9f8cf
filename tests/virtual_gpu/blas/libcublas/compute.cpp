// Matrix products in float32: every element a sum in the order of k.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <vector>

#include "types.hpp"

namespace {

constexpr int rows_at_once = 64;

float from_bf16(std::uint16_t x) { return std::bit_cast<float>(std::uint32_t{x} << 16); }

// To nearest, ties to even.
std::uint16_t to_bf16(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

float to_tf32(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return (bits & 0x7f800000u) == 0x7f800000u ? x : std::bit_cast<float>((bits + 0x1000u) & 0xffffe000u);
}

std::size_t bytes_of(cudaDataType type) { return type == CUDA_R_16BF ? 2 : 4; }

const char* element(const Matrix& matrix, std::int64_t batch, std::int64_t row, std::int64_t column) {
    const std::int64_t place = batch * matrix.stride + column * matrix.leading + row;
    return static_cast<const char*>(matrix.data) + place * static_cast<std::int64_t>(bytes_of(matrix.type));
}

float load(const Matrix& matrix, std::int64_t batch, std::int64_t row, std::int64_t column) {
    const char* place = element(matrix, batch, row, column);
    return matrix.type == CUDA_R_16BF ? from_bf16(*reinterpret_cast<const std::uint16_t*>(place))
                                      : *reinterpret_cast<const float*>(place);
}

void store(const Matrix& matrix, std::int64_t batch, std::int64_t row, std::int64_t column, float value) {
    char* place = const_cast<char*>(element(matrix, batch, row, column));
    if (matrix.type == CUDA_R_16BF) *reinterpret_cast<std::uint16_t*>(place) = to_bf16(value);
    else *reinterpret_cast<float*>(place) = value;
}

// op(matrix) as float32, column by column without gaps, as the multiplication reads it.
std::vector<float> gather(const Matrix& matrix, std::int64_t batch, std::int64_t rows, std::int64_t columns, bool tf32) {
    std::vector<float> values(rows * columns);
    for (std::int64_t j = 0; j < columns; j++)
        for (std::int64_t i = 0; i < rows; i++) {
            const bool turned = matrix.transposition != plain;
            const float value = turned ? load(matrix, batch, j, i) : load(matrix, batch, i, j);
            values[j * rows + i] = tf32 ? to_tf32(value) : value;
        }
    return values;
}

// Some rows of one column of a product.
void multiply_rows(const float* a, std::int64_t leading, int rows, const float* b, std::int64_t k, float* sums) {
    std::fill(sums, sums + rows, 0.f);
    for (std::int64_t p = 0; p < k; p++)
        for (int i = 0; i < rows; i++) sums[i] += a[p * leading + i] * b[p];
}

void multiply(const Product& product, std::int64_t batch, float alpha, float beta) {
    const std::vector<float> a = gather(product.a, batch, product.m, product.k, product.tf32);
    const std::vector<float> b = gather(product.b, batch, product.k, product.n, product.tf32);
    float sums[rows_at_once];
    for (std::int64_t first = 0; first < product.m; first += rows_at_once) {
        const int rows = static_cast<int>(std::min<std::int64_t>(rows_at_once, product.m - first));
        for (std::int64_t j = 0; j < product.n; j++) {
            multiply_rows(&a[first], product.m, rows, &b[j * product.k], product.k, sums);
            for (int i = 0; i < rows; i++) {
                // With beta = 0 the old values are not read: they may be NaN.
                const float old = beta == 0.f ? 0.f : beta * load(product.c, batch, first + i, j);
                store(product.c, batch, first + i, j, alpha * sums[i] + old);
            }
        }
    }
}

bool in_memory(const Matrix& matrix, std::int64_t rows, std::int64_t columns, std::int64_t batch, const char* name) {
    if (matrix.transposition != plain) std::swap(rows, columns);
    if (rows == 0 || columns == 0 || batch == 0) return true;
    const char* end = element(matrix, batch - 1, rows - 1, columns - 1) + bytes_of(matrix.type);
    if (virtual_gpu_known(matrix.data, end - static_cast<const char*>(matrix.data))) return true;
    std::fprintf(stderr, "virtual GPU: cuBLAS: matrix %s is not within one allocation\n", name);
    return false;
}

}  // namespace

CUresult compute(const Product& product) {
    if (!in_memory(product.a, product.m, product.k, product.batch, "A") ||
        !in_memory(product.b, product.k, product.n, product.batch, "B") ||
        !in_memory(product.c, product.m, product.n, product.batch, "C"))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    const float alpha = product.device_alpha != nullptr ? *product.device_alpha : product.alpha;
    const float beta = product.device_beta != nullptr ? *product.device_beta : product.beta;
    for (std::int64_t batch = 0; batch < product.batch; batch++) multiply(product, batch, alpha, beta);
    return CUDA_SUCCESS;
}
