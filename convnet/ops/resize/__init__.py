"""Resizing images, bilinearly: the layers resize (`fprop`) and rscale (`random_crop` in training, `fprop` in testing).

Pixel p of the output, along each axis, shows the place

    at = p scale + offset, but at least 0 and at most image - 1.01

of the input: pixel floor(at) and the one behind it, in the proportion of their nearness.

    fprop           offset = image/2 - output/2 scale: the centre stays in the centre; what is beyond is not shown, and
                    where there is nothing more the edge is repeated
    random_crop     offset = image/2 - size/2 scale + start scale: a crop, from pixel `start`, of the image resized to
                    `size` pixels, of another scale and place in each case

random_crop puts out `side` x `side` pixels. With m the image's shorter side, k is a whole number from `side` to m, with
a probability in proportion to the number of crops: an image resized to a shorter side of k has floor(k y/m) x
floor(k x/m) pixels and so (floor(k y/m) - side + 1) (floor(k x/m) - side + 1) crops, each as likely as the others. The
scale is uniform between max(1, m/(k+1)) and m/k. With k = m crops are pixels of the image: there `at` may reach
image - 1.

Case i draws the four words of Philox4x32-10 (see convnet.philox) with

    counter = (0, first_case + i, number of the minibatch, stream)     key = (low, high 32 bits of the seed)

Word 0 chooses k by `crop_thresholds`. (word >> 8) 2^-24 of words 1, 2 and 3 are uniform numbers: how far the scale is
between its bounds, and how far `start` is among all starts along y and along x, rounded down. `stream` tells the layers
of a net apart, `first_case` the parts of a minibatch. Every word counts modulo 2^32.

x: (n, y, x, channel). y: (n, output y, output x, channel). There is no backward pass.

    fprop(dev, x, y, *, scale)
    random_crop(dev, x, y, *, seed, stream, counter, first_case=0)

Source: cuda-convnet2 (convResizeBilinear in conv_util.cu, RandomScaleLayer in layer.cu), which draws once for a
minibatch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.shape import Maps

MARGIN = 1.01  # pixels between the last place that is shown and the image's side

Thresholds = np.ndarray[Any, np.dtype[np.uint32]]


def crop_thresholds(image: Maps, side: int) -> Thresholds:
    """What word 0 is compared with: k is `side` + the number of thresholds, without the last, that it has reached."""
    shorter = min(image.y, image.x)
    counts = [(k * image.y // shorter - side + 1) * (k * image.x // shorter - side + 1)
              for k in range(side, shorter + 1)]  # fmt: skip
    total, below, thresholds = sum(counts), 0, []
    for count in counts:
        below += count
        thresholds.append(min(2**32 - 1, (below << 32) // total))
    return np.array(thresholds, np.uint32)


def check_fprop(x: Any, y: Any) -> None:
    """Raises ValueError unless x and y, arrays of any backend, are images of as many cases and channels."""
    if len(x.shape) != 4 or len(y.shape) != 4 or (len(x), x.shape[3]) != (len(y), y.shape[3]):
        raise ValueError(f"resize: expected images of as many cases and channels, found {x.shape} and {y.shape}")


def check_random_crop(x: Any, y: Any) -> None:
    """Raises ValueError unless, too, those of y are square and not larger than those of x."""
    check_fprop(x, y)
    if y.shape[1] != y.shape[2] or y.shape[1] > min(x.shape[1:3]):
        raise ValueError(f"resize: expected square crops of images of {x.shape[1:3]}, found crops of {y.shape[1:3]}")
