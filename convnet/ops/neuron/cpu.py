"""Neurons on the CPU, block by block so that a block stays in the first-level cache.

Each pass over a block reads and writes arrays that do not overlap, or one array alone: only such loops are vectorised.
"""

from __future__ import annotations

import math

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.neuron import NeuronFunction

BLOCK = 4096

_IDENT = NeuronFunction("ident").code
_LOGISTIC = NeuronFunction("logistic").code
_RELU = NeuronFunction("relu").code
_BRELU = NeuronFunction("brelu").code
_SOFTRELU = NeuronFunction("softrelu").code
_ABS = NeuronFunction("abs").code
_SQUARE = NeuronFunction("square").code
_SQRT = NeuronFunction("sqrt").code
_TANH = NeuronFunction("tanh").code
_LINEAR = NeuronFunction("linear").code
_LOG = NeuronFunction("log").code
_DRELU = NeuronFunction("drelu").code


def fprop(dev: CpuDevice, x: Array, y: Array, f: NeuronFunction) -> Launch:
    """`y` = f(x); any shape, x and y alike; y may be x itself."""
    _check_alike(x, y)
    source, target = x.reshape(-1), y.reshape(-1)
    return dev.parallel(
        _fprop, len(y) * _blocks(y), source, target, y.size // max(1, len(y)), _same(x, y), f.code, y.dtype.type(f.a),
        y.dtype.type(f.b), cases=Cases(len(y)),
    )  # fmt: skip


def bprop(dev: CpuDevice, dy: Array, xy: Array, dx: Array, f: NeuronFunction, *, accumulate: bool) -> Launch:
    """`dx` (+)= dy f'; `xy` is y where `f.from_output`, otherwise x; dx may be dy itself unless `accumulate`."""
    _check_alike(dy, xy, dx)
    same = _same(dy, dx)
    if same and accumulate:
        raise ValueError("neuron bprop cannot accumulate onto its own gradient")
    real = dx.dtype.type
    return dev.parallel(
        _bprop, len(dx) * _blocks(dx), dy.reshape(-1), xy.reshape(-1), dx.reshape(-1), dx.size // max(1, len(dx)), same,
        accumulate, f.code, real(f.a), real(f.b), Scratch((BLOCK,), dx.dtype), cases=Cases(len(dx)),
    )  # fmt: skip


def _check_alike(*arrays: Array) -> None:
    if len({(array.shape, array.dtype) for array in arrays}) != 1:
        raise ValueError(f"neuron arrays differ: {[(array.shape, str(array.dtype)) for array in arrays]}")


def _same(first: Array, second: Array) -> bool:
    return bool(first.ctypes.data == second.ctypes.data)


def _blocks(array: Array) -> int:
    """How many blocks a case is cut into."""
    return -(-array.size // (max(1, len(array)) * BLOCK))


@inlined
def _block(block: int, features: int) -> tuple[int, int]:
    """The first number of a block and the one behind its last; blocks are counted over cases of so many features."""
    case, part = divmod(block, -(-features // BLOCK))
    first = case * features + part * BLOCK
    return first, min((case + 1) * features, first + BLOCK)


@kernel
def _fprop(start: int, stop: int, x: Array, y: Array, features: int, same: bool, code: int, a: float, b: float) -> None:
    """Blocks start..stop of y = f(x)."""
    for block in range(start, stop):
        first, last = _block(block, features)
        if not same:
            y[first:last] = x[first:last]
        apply(code, a, b, y, first, last)


@kernel
def _bprop(
    start: int, stop: int, dy: Array, xy: Array, dx: Array, features: int, same: bool, accumulate: bool, code: int,
    a: float, b: float, slope: Array,
) -> None:  # fmt: skip
    """Blocks start..stop of dx (+)= dy f'."""
    for block in range(start, stop):
        first, last = _block(block, features)
        size = last - first
        derivative(code, a, b, xy, first, slope, size)
        above, out = dy[first:last], dx[first:last]
        if same:
            for i in range(size):
                out[i] *= slope[i]
        elif accumulate:
            for i in range(size):
                out[i] += above[i] * slope[i]
        else:
            for i in range(size):
                out[i] = above[i] * slope[i]


@kernel
def apply(code: int, a: float, b: float, v: Array, start: int, stop: int) -> None:
    """`v[start:stop]` = f of itself, for use inside kernels; v is one-dimensional, a and b have its type."""
    v = v[start:stop]
    zero, one = v.dtype.type(0), v.dtype.type(1)
    if code == _LOGISTIC:
        for i in range(v.size):
            v[i] = one / (one + math.exp(-v[i]))
    elif code == _RELU:
        for i in range(v.size):  # written so that NaN stays NaN
            v[i] = zero if v[i] < zero else v[i]
    elif code == _BRELU:
        for i in range(v.size):
            v[i] = zero if v[i] < zero else (a if v[i] > a else v[i])
    elif code == _SOFTRELU:
        for i in range(v.size):  # no overflow: the exponent is never positive
            v[i] = (zero if v[i] < zero else v[i]) + math.log1p(math.exp(-abs(v[i])))
    elif code == _ABS:
        for i in range(v.size):
            v[i] = abs(v[i])
    elif code == _SQUARE:
        for i in range(v.size):
            v[i] = v[i] * v[i]
    elif code == _SQRT:
        for i in range(v.size):
            v[i] = math.sqrt(v[i])
    elif code == _TANH:
        for i in range(v.size):
            v[i] = a * math.tanh(b * v[i])
    elif code == _LINEAR:
        for i in range(v.size):
            v[i] = a * v[i] + b
    elif code == _LOG:
        for i in range(v.size):
            v[i] = math.log(a + v[i])
    elif code == _DRELU:
        for i in range(v.size):
            v[i] = v[i] - a * math.tanh(v[i] / a)


@kernel
def derivative(code: int, a: float, b: float, xy: Array, start: int, slope: Array, size: int) -> None:
    """`slope[:size]` = f' at xy[start:start + size]; xy is y or x as the table says."""
    v = xy[start : start + size]
    zero, one, two = slope.dtype.type(0), slope.dtype.type(1), slope.dtype.type(2)
    if code == _IDENT:
        slope[:size] = one
    elif code == _LOGISTIC:
        for i in range(size):
            slope[i] = v[i] * (one - v[i])
    elif code == _RELU:
        for i in range(size):
            slope[i] = one if v[i] > zero else zero
    elif code == _BRELU:
        for i in range(size):
            slope[i] = one if zero < v[i] < a else zero
    elif code == _SOFTRELU:
        for i in range(size):
            slope[i] = -math.expm1(-v[i])
    elif code == _ABS:
        for i in range(size):
            slope[i] = one if v[i] > zero else -one
    elif code == _SQUARE:
        for i in range(size):
            slope[i] = two * v[i]
    elif code == _SQRT:
        for i in range(size):
            slope[i] = one / (two * v[i])
    elif code == _TANH:
        for i in range(size):
            slope[i] = b * (a - v[i] * v[i] / a)
    elif code == _LINEAR:
        slope[:size] = a
    elif code == _LOG:
        for i in range(size):
            slope[i] = one / (a + v[i])
    elif code == _DRELU:
        for i in range(size):
            slope[i] = math.tanh(v[i] / a) ** 2
