"""Sum of squares, a cost.

    fprop    values[i, 0] = sum_f x[i, f]^2
    bprop    dx[i, f] (+)= 2 coeff x[i, f]

x, dx: (n, f). values: (n, 1). There is no factor 1/2, as in cuda-convnet's cost.sum2. The gradient is that of coeff
times the cost, in the direction in which the cost grows.
"""
