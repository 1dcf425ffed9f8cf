"""Softmax: scores to probabilities.

    fprop    y[i, j] = exp(x[i, j] - m[i]) / sum_k exp(x[i, k] - m[i]),   m[i] = max_k x[i, k]
    bprop    dx[i, j] (+)= y[i, j] * (dy[i, j] - sum_k dy[i, k] y[i, k])

All arrays: (n, k), n cases of k classes. Taking off the maximum changes nothing but keeps exp finite. A case with NaN
or +infinity among its scores gives NaN everywhere.

Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
"""
