// What the response normalizations make of a sum of squares.
// Macro: POWER, 50, 75 or 100 for the exponents 0.5, 0.75 and 1, 0 for any other.
#pragma once

struct Numbers {
    float alpha, power, min_div;
};

struct Powers {
    float factor;   // d^-power
    float inverse;  // 1 / d
};

// Of d = min_div + alpha * sum. With POWER 75 the factor is d^-0.5 * d^-0.25, wrong by at most 6e-7 of its value, as is
// the inverse by 7e-7: CUDA promises 2 units in the last place of rsqrtf.
__device__ __forceinline__ Powers powers_of(const Numbers& n, float sum) {
    const float d = n.min_div + n.alpha * sum;
    if constexpr (POWER == 0) return {powf(d, -n.power), 1.f / d};
    if constexpr (POWER == 100) return {1.f / d, 1.f / d};
    const float root = rsqrtf(d);
    return {POWER == 75 ? root * sqrtf(root) : root, root * root};
}
