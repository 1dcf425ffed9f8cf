// The neurons of convnet/ops/neuron, by the numbers (NeuronFunction.code) that the host gives them.
#pragma once

enum Neuron { IDENT, LOGISTIC, RELU, BRELU, SOFTRELU, ABS, SQUARE, SQRT, TANH, LINEAR, LOG, DRELU };

// f(x). Comparisons are written so that NaN stays NaN.
__device__ __forceinline__ float neuron(int code, float a, float b, float x) {
    switch (code) {
        case LOGISTIC: return 1.f / (1.f + expf(-x));
        case RELU: return x < 0.f ? 0.f : x;
        case BRELU: return x < 0.f ? 0.f : (x > a ? a : x);
        case SOFTRELU: return (x < 0.f ? 0.f : x) + log1pf(expf(-fabsf(x)));
        case ABS: return fabsf(x);
        case SQUARE: return x * x;
        case SQRT: return sqrtf(x);
        case TANH: return a * tanhf(b * x);
        case LINEAR: return a * x + b;
        case LOG: return logf(a + x);
        case DRELU: return x - a * tanhf(x / a);
        default: return x;
    }
}

// f' from v: y = f(x) for most, x itself for ABS, SQUARE, LOG and DRELU (NeuronFunction.from_output).
__device__ __forceinline__ float neuron_slope(int code, float a, float b, float v) {
    switch (code) {
        case LOGISTIC: return v * (1.f - v);
        case RELU: return v > 0.f ? 1.f : 0.f;
        case BRELU: return v > 0.f && v < a ? 1.f : 0.f;
        case SOFTRELU: return -expm1f(-v);
        case ABS: return v > 0.f ? 1.f : -1.f;
        case SQUARE: return 2.f * v;
        case SQRT: return 1.f / (2.f * v);
        case TANH: return b * (a - v * v / a);
        case LINEAR: return a;
        case LOG: return 1.f / (a + v);
        case DRELU: {
            const float t = tanhf(v / a);
            return t * t;
        }
        default: return 1.f;
    }
}
