"""Response normalization over neighbours in the same map, and what the three normalizations have in common.

    d_i = min_div + alpha * sum of x_j^2, j in window(i)        y_i = x_i * d_i^-power

window(i): the `size` x `size` pixels that begin size // 2 above and left of pixel i, of the same map, clipped to the
image. An even size reaches one pixel further up and left.

    dx_i (+)= dy_i * d_i^-power - 2 * alpha * power * x_i * sum of dy_j * x_j * d_j^(-power-1), j with i in window(j)

x, y, dx, dy: (n, y, x, channel). The denominators d are not kept between fprop and bprop but computed again.

    fprop(dev, x, y, norm)          bprop(dev, dy, x, dx, norm, *, accumulate)

Source: cuda-convnet, layer type rnorm (convResponseNorm); Krizhevsky et al., "ImageNet Classification with Deep
Convolutional Neural Networks", 2012, section 3.3, for the formula.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """The numbers of a normalization layer.

    size: the width of the window, at least 1. alpha: the factor of the sum as it stands in the formula, so the layer's
    scale already divided by the number of elements of a window. min_div: the constant in the denominator.
    blocked: only for cmrnorm, where it cuts the channels into blocks instead of sliding a window over them.
    """

    size: int
    alpha: float
    power: float
    min_div: float
    blocked: bool = False
