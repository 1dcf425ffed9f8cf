"""Dropout on the CPU: the random words are drawn where they are used, never stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.dropout import Counter, check_apply, threshold

# Philox's constants. Words are kept in 64 bits, of which the low 32 count: so LLVM finds the 32 x 32 -> 64 product.
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

_GROUPS = 32  # Philox calls in a row, a loop that LLVM vectorises
_BLOCK = 4 * _GROUPS  # features they serve
_SHIFT = np.uint32(8)


def apply(
    dev: CpuDevice,
    x: Array,
    y: Array,
    *,
    keep: float,
    scale: float,
    seed: int,
    stream: int,
    counter: Counter,
    first_case: int = 0,
    accumulate: bool,
) -> Launch:
    """y (+)= x * mask * scale. x, y: (n, ...) of one shape; y may be x.

    keep: the probability that a feature stays, 0..1. seed: 64 bits; stream: 32 bits. counter is read at each launch.
    """
    check_apply(x, y)
    cases, low = len(x), 0xFFFFFFFF
    names = [np.uint64(word & low) for word in (stream, seed, seed >> 32)]
    flat = [array.reshape(cases, -1, copy=False) for array in (x, y)]
    return dev.parallel(
        _apply, cases, *flat, np.uint32(threshold(keep)), x.dtype.type(scale), first_case,
        lambda: np.uint64(counter.value & low), *names, Scratch((_BLOCK,), np.uint32), accumulate,
    )  # fmt: skip


@inlined
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """The four words of Philox4x32-10. All arguments: uint64 below 2^32."""
    for _ in range(10):
        even, odd = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (odd >> _HALF) ^ c1 ^ k0, odd & _LOW, (even >> _HALF) ^ c3 ^ k1, even & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@inlined
def _draw(words: Array, block: int, case: Any, minibatch: Any, stream: Any, k0: Any, k1: Any) -> None:
    """Fill `words` (_BLOCK) with the words of the features block * _BLOCK .."""
    for group in range(_GROUPS):
        first = np.uint64(block * _GROUPS + group)
        w0, w1, w2, w3 = philox(first, case, minibatch, stream, k0, k1)
        words[4 * group], words[4 * group + 1], words[4 * group + 2], words[4 * group + 3] = w0, w1, w2, w3


@kernel
def _apply(
    start: int, stop: int, x: Array, y: Array, threshold: Any, scale: Any, first_case: int,
    minibatch: Any, stream: Any, k0: Any, k1: Any, words: Array, accumulate: bool,
) -> None:  # fmt: skip
    features = x.shape[1]
    zero = x.dtype.type(0)
    for i in range(start, stop):
        for block in range((features + _BLOCK - 1) // _BLOCK):
            _draw(words, block, np.uint64(first_case + i) & _LOW, minibatch, stream, k0, k1)
            first = block * _BLOCK
            for j in range(min(_BLOCK, features - first)):
                # A product, not a choice: NaN stays visible under the mask.
                value = x[i, first + j] * (scale if words[j] >> _SHIFT < threshold else zero)
                y[i, first + j] = y[i, first + j] + value if accumulate else value
