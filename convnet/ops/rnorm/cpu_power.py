"""The parts of a normalization that concern each element by itself, for the kernels of all normalizations.

All arrays of a call are one-dimensional, of one length, and different: where a loop reads and writes the same array
under two names, the compiled code finds them overlapping and goes one element at a time. `inverse` is 1 / d, `factor`
is d^-power.
"""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined


@inlined
def invert(sums: Array, alpha: float, min_div: float) -> None:
    """sums = 1 / (min_div + alpha * sums): from the sums of a window to the inverse of the denominator."""
    one, factor, constant = sums.dtype.type(1), sums.dtype.type(alpha), sums.dtype.type(min_div)
    for i in range(sums.size):
        sums[i] = one / (constant + factor * sums[i])


@inlined
def raise_to_power(inverse: Array, power: float, factor: Array) -> None:
    """factor = inverse ** power; the usual exponents without a call of pow."""
    if power == 0.75:
        for i in range(inverse.size):
            root = np.sqrt(inverse[i])
            factor[i] = root * np.sqrt(root)
    elif power == 0.5:
        for i in range(inverse.size):
            factor[i] = np.sqrt(inverse[i])
    elif power == 1:
        for i in range(inverse.size):
            factor[i] = inverse[i]
    else:
        exponent = inverse.dtype.type(power)
        for i in range(inverse.size):
            factor[i] = inverse[i] ** exponent


@inlined
def product(a: Array, b: Array, result: Array) -> None:
    """result = a * b, for every element of a."""
    rows, columns = a.shape
    for row in range(rows):
        for i in range(columns):
            result[row, i] = a[row, i] * b[row, i]


@inlined
def pull(dy: Array, x: Array, inverse: Array, factor: Array, pulls: Array) -> None:
    """pulls = dy * x * d^(-power-1): what an output contributes to the gradient through its denominator."""
    rows, columns = x.shape
    for row in range(rows):
        for i in range(columns):
            pulls[row, i] = dy[row, i] * x[row, i] * (factor[row, i] * inverse[row, i])


@inlined
def gradient(dy: Array, x: Array, factor: Array, sums: Array, slope: float, accumulate: bool, dx: Array) -> None:
    """dx (+)= dy * factor + slope * x * sums, where sums are those of `pull` and slope is -2 * alpha * power."""
    coefficient = dx.dtype.type(slope)
    rows, columns = x.shape
    for row in range(rows):
        for i in range(columns):
            value = dy[row, i] * factor[row, i] + coefficient * x[row, i] * sums[row, i]
            dx[row, i] = dx[row, i] + value if accumulate else value
