"""The step of learning: momentum, weight decay and the weight ball.

    momentum    step = -eps * g / N - eps * wc * w
                inc = mom * inc + step;   w = w + inc
    Nesterov's  inc = mom * inc + step;   w = w + mom * inc + step
    wball       w[:, j] = w[:, j] * limit / |w[:, j]|
    wcnorm      w[:, j] = w[:, j] * s' / s,   s = |w[:, j] - mean of w[:, j]| / rows,   s' = s brought into low..high

`momentum` goes once over all weights of a device, which lie in three 1-D arrays of one length: w, their increments inc
and their gradients g (summed over the cases of the minibatch, in the direction in which the cost grows). Segment s is
the half-open range offsets[s, 0]..offsets[s, 1] and has the rates rates[s] = (eps, mom, wc, 1/N, Nesterov's: 0 or 1).
Segments do not overlap, and what lies between them is not touched. Rates are read at each launch. A segment with
eps = 0 is left as it is, w and inc.

Nesterov's momentum takes the gradient where momentum alone would lead: inc' = mom * inc + step(v + mom * inc),
v' = v + inc'. Here w are these places, w = v + mom * inc: all that a net computes with and keeps. Then
w' = v' + mom * inc' = w - mom * inc + inc' + mom * inc' = w + mom * inc' + step(w).

`wball` holds columns (all weights into one output) to the L2 norm `limit`: every column when `exact`, else only those
that are longer. Columns of zeros or with NaN stay as they are. w: (rows, columns); with `modules` > 1 the rows are that
many equal parts, and each column of each part is a vector of its own, as in a local layer.

`wcnorm` takes each column as a whole, and does not take its mean away. Columns of one value (s = 0) or with NaN stay
as they are, and those whose s is within the bounds.

operands: None, or an array of the shape of w in a rougher type, which then receives the new weights rounded to it, in
the same pass. What is left as it is in w is left in `operands` too.

    momentum(dev, w, inc, g, *, offsets, rates, operands=None)
    wball(dev, w, *, limit, exact, modules=1, operands=None)
    wcnorm(dev, w, *, low, high, operands=None)

Source: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NIPS 2012, section 5
(momentum); Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013, section 2
(Nesterov's); cuda-convnet2, `epsW`, `momW`, `wc`, `wball`, `wcNormMin`, `wcNormMax`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def check_momentum(w: Any, inc: Any, g: Any, offsets: Array, rates: Array) -> None:
    """Raises ValueError unless the arguments of `momentum` fit each other; w, inc and g are arrays of any backend."""
    if not w.shape == inc.shape == g.shape == (w.size,):
        raise ValueError(f"momentum: w, inc, g of shapes {w.shape}, {inc.shape}, {g.shape}")
    if offsets.shape != (len(rates), 2) or rates.shape != (len(offsets), 5):
        raise ValueError(f"momentum: offsets, rates of shapes {offsets.shape}, {rates.shape}")
    if offsets.size and not 0 <= offsets.min() <= offsets.max() <= w.size:
        raise ValueError(f"momentum: segments {offsets.min()}..{offsets.max()} of {w.size} weights")


def check_bounds(low: float, high: float) -> None:
    """Raises ValueError unless these are bounds of `wcnorm`."""
    if not 0 <= low <= high or not high > 0:
        raise ValueError(f"wcnorm: expected 0 <= low <= high, high above 0; found {low} and {high}")


def cut(offsets: Array, size: int) -> Array:
    """The segments cut into blocks of at most `size` weights: (blocks, 3) int64 of segment, start, stop."""
    blocks = [
        (segment, first, min(first + size, stop))
        for segment, (start, stop) in enumerate(offsets.tolist())
        for first in range(start, stop, size)
    ]
    return np.array(blocks, np.int64).reshape(-1, 3)
