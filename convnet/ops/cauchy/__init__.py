"""The Cauchy cost: how far numbers are from targets, large distances counting little.

    fprop    values[i, 0] = sum_j log(1 + d^2),   d = y[i, j] - t[i, j]
    bprop    dy[i, j] (+)= coeff * 2 d / (1 + d^2)

targets t, outputs y, dy: (n, k). values: (n, 1). The gradient is that of coeff times the cost, in the direction in
which it grows. On a GPU targets are float32, or of the type of the activations.

Source: cost.rflickr of cuda-convnet's 2012 release; known as Cauchy's or Lorentz's.
"""
