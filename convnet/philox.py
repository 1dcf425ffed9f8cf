"""Philox4x32-10, a random number generator without state: the numbers are a function of a counter and a key.

What is drawn for a case therefore depends on nothing but the words that name it: not on the order of the work, the
number of threads or the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint32]]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)  # added to the key after each round
_ROUNDS = 10
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def philox(counter: Words, key: Words) -> Words:
    """Four random words of 32 bits for each counter.

    counter: (..., 4) uint32. key: (2,) uint32. Returns (..., 4) uint32.

    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
    """
    c0, c1, c2, c3 = (counter[..., word].astype(np.uint64) for word in range(4))
    key = key.copy()
    for _ in range(_ROUNDS):
        even, odd = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (odd >> _HALF) ^ c1 ^ key[0], odd & _LOW, (even >> _HALF) ^ c3 ^ key[1], even & _LOW
        key += _WEYL
    return np.stack((c0, c1, c2, c3), axis=-1).astype(np.uint32)
