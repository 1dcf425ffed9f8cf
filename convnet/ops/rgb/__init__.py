"""Colours in other spaces than RGB: the layers rgb2yuv and rgb2lab.

YUV:  [y]   [ 0.2126    0.7152    0.0722 ] [r]
      [u] = [-0.09991  -0.33609   0.436  ] [g]
      [v]   [ 0.615    -0.55861  -0.05639] [b]

Lab:  [X]   [0.49      0.31      0.2    ] [r]     L = 116 f(Y) - 16, from 0 to 100; with `center` 50 less
      [Y] = [0.17697   0.8124    0.01063] [g]     a = 500 (f(X) - f(Y))
      [Z]   [0         0.01      0.99   ] [b]     b = 200 (f(Y) - f(Z))

      f(t) = t^0.3333 where t > 0.0088564517, otherwise 7.787037 t + 0.13793103; r, g and b are from 0 to 1

x, y: (n, y, x, 3) of one shape. There is no backward pass.

    to_yuv(dev, x, y)
    to_lab(dev, x, y, *, center)

Source: cuda-convnet (convRGBToYUV, convRGBToLAB in conv_util.cu), its constants included.
"""

from __future__ import annotations

from typing import Any


def check_colours(x: Any, y: Any) -> None:
    """Raises ValueError unless x and y, arrays of any backend, are images of three channels and one shape."""
    if x.shape != y.shape or len(x.shape) != 4 or x.shape[3] != 3:
        raise ValueError(f"rgb: expected images of one shape with 3 channels, found {x.shape} and {y.shape}")
