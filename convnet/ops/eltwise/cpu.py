"""Operations element by element on the CPU, in blocks of fixed size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel

_BLOCK = 4096  # elements: a few blocks fit into the first cache


def scale(dev: CpuDevice, x: Array, y: Array, *, coeff: float, accumulate: bool) -> Launch:
    """y (+)= coeff * x."""
    return dev.parallel(_scale, _blocks(y), *_flat(x, y), coeff, accumulate)


def fprop_sum(dev: CpuDevice, xs: list[Array], y: Array, *, coeffs: Sequence[float]) -> Launch:
    """y = the sum of coeffs[i] * xs[i], added in the order given."""
    if len(coeffs) != len(xs):
        raise ValueError(f"eltwise: {len(coeffs)} coefficients for {len(xs)} inputs")
    *inputs, target = _flat(*xs, y)
    return dev.parallel(_fprop_sum, _blocks(y), tuple(inputs), target, np.array(coeffs, y.dtype))


def fprop_max(dev: CpuDevice, xs: list[Array], y: Array) -> Launch:
    """y = the largest of the inputs, of which there are at least two."""
    *inputs, target = _flat(*xs, y)
    return dev.parallel(_fprop_max, _blocks(y), tuple(inputs), target)


def bprop_max(dev: CpuDevice, dy: Array, x: Array, y: Array, dx: Array, *, accumulate: bool) -> Launch:
    """dx (+)= dy where x equals y."""
    return dev.parallel(_bprop_max, _blocks(y), *_flat(dy, x, y, dx), accumulate)


def _flat(*arrays: Array) -> list[Array]:
    """Arrays of one shape, each seen as a vector."""
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"eltwise: expected arrays of one shape, found {shapes}")
    return [array.reshape(-1) for array in arrays]


def _blocks(array: Array) -> int:
    """How many blocks an array is cut into."""
    return -(-array.size // _BLOCK)


@inlined
def larger(a: float, b: float) -> float:
    """The larger of two numbers; NaN if one of them is NaN."""
    return a if a >= b or np.isnan(a) else b


@kernel
def _scale(start: int, stop: int, x: Array, y: Array, coeff: float, accumulate: bool) -> None:
    """Items are blocks, here as below."""
    factor = y.dtype.type(coeff)
    for item in range(start, stop):
        _add(factor, _block(x, item), _block(y, item), accumulate)


@kernel
def _fprop_sum(start: int, stop: int, xs: tuple[Array, ...], y: Array, coeffs: Array) -> None:
    for item in range(start, stop):
        for k in range(len(xs)):
            _add(coeffs[k], _block(xs[k], item), _block(y, item), k > 0)


@kernel
def _fprop_max(start: int, stop: int, xs: tuple[Array, ...], y: Array) -> None:
    for item in range(start, stop):
        _larger(_block(xs[0], item), _block(xs[1], item), _block(y, item))
        for k in range(2, len(xs)):
            raise_to(_block(xs[k], item), _block(y, item))


@kernel
def _bprop_max(start: int, stop: int, dy: Array, x: Array, y: Array, dx: Array, accumulate: bool) -> None:
    for item in range(start, stop):
        _where_equal(_block(dy, item), _block(x, item), _block(y, item), _block(dx, item), accumulate)


@inlined
def _block(array: Array, item: int) -> Array:
    return array[item * _BLOCK : (item + 1) * _BLOCK]


@inlined
def _add(factor: float, x: Array, y: Array, accumulate: bool) -> None:
    """y (+)= factor * x."""
    for i in range(y.size):
        value = factor * x[i]
        y[i] = y[i] + value if accumulate else value


@inlined
def _larger(a: Array, b: Array, y: Array) -> None:
    """y = the larger of a and b."""
    for i in range(y.size):
        y[i] = larger(a[i], b[i])


@inlined
def raise_to(x: Array, y: Array) -> None:
    """y = the larger of y and x."""
    for i in range(y.size):
        y[i] = larger(y[i], x[i])


@inlined
def _where_equal(dy: Array, x: Array, y: Array, dx: Array, accumulate: bool) -> None:
    """dx (+)= dy where x equals y, else 0."""
    zero = dx.dtype.type(0)
    for i in range(dx.size):
        value = dy[i] if x[i] == y[i] else zero
        dx[i] = dx[i] + value if accumulate else value
