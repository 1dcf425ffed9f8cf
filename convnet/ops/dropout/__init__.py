"""Dropout: sets features to zero at random, each by itself.

    apply    y (+)= x * mask * scale,   mask = 1 where uniform < keep, else 0

x, y: (n, ...) of one shape; y may be x. The backward pass is `apply` with the gradients: the same arguments give the
same mask, so no mask is stored.

The uniform number of feature f of case i is (word >> 8) * 2^-24, where word is number f % 4 of the four words of
Philox4x32-10 (see convnet.philox) with

    counter = (f // 4, first_case + i, number of the minibatch, stream)     key = (low, high 32 bits of the seed)

f counts within the case in memory order, (y, x, channel) for maps. `stream` tells the layers of a net apart. With
`first_case` the parts of a minibatch that lie on several devices get the masks of the whole. Every word counts modulo
2^32.

Source: Hinton et al., "Improving neural networks by preventing co-adaptation of feature detectors", arXiv:1207.0580.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass
class Counter:
    """The number of the minibatch. It is read at each launch, so changing `value` draws new masks."""

    value: int = 0


def check_apply(x: Any, y: Any) -> None:
    """Raises ValueError unless x and y, arrays of any backend, are of one shape."""
    if x.shape != y.shape:
        raise ValueError(f"dropout: x of shape {x.shape}, y of shape {y.shape}")


def threshold(keep: float) -> int:
    """What word >> 8 is below where a feature stays: uniform < keep in whole numbers."""
    return math.ceil(keep * 2**24)
