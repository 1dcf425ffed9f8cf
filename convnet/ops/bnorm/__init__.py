"""Batch normalization: each channel is brought to mean 0 and variance 1 over all rows, then scaled and shifted.

    m, v = mean and variance of a channel of x over its R rows (v divided by R)
    h = (x - m) / sqrt(v + eps);   y = f(h * scale + shift)        f: the neuron, none: y as it is

Rows are all that comes before the last axis, the channels: cases and pixels of maps, the cases of plain features.

Training normalizes with the rows' own m and v and moves the running statistics, which testing normalizes with:

    mean = momentum * mean + (1 - momentum) * m
    variance = momentum * variance + (1 - momentum) * v * R / max(1, R - 1)

The gradient (g is the gradient of what f was applied to; sums go over the rows):

    dshift = sum g;   dscale = sum g h;   dx = scale / sqrt(v + eps) * (g - dshift / R - h * dscale / R)

    fprop_train(dev, x, y, scale, shift, mean, variance, batch, *, eps, momentum, neuron)
    fprop_test(dev, x, y, scale, shift, mean, variance, *, eps, neuron)
    bprop_sums(dev, dy, x, batch, sums, dscale, dshift, *, accumulate)
    bprop_acts(dev, dy, x, scale, batch, sums, dx, *, accumulate)

x, y, dx: (..., channels), activations. dy: g, of that shape. scale, shift, mean, variance, dscale, dshift: (channels,)
of the type of weights, and so are batch (2, channels), which is m and 1 / sqrt(v + eps), and sums (2, channels), which
is sum g and sum g h. bprop_sums writes sums, and (+)= them to dscale and dshift, either of which may be None.

The variance is no difference of large sums: it is as exact for a mean of 1000 deviations as for one of 0.
A wrong shape raises ValueError.

Source: Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
ICML 2015, algorithms 1 and 2.
"""

from __future__ import annotations

from typing import Any


def check_shapes(activations: list[Any], vectors: list[Any], pairs: list[Any]) -> tuple[int, int]:
    """Rows and channels of the activations.

    Raises:
        ValueError: unless activations have one shape, vectors one number a channel and pairs two.
    """
    shape = activations[0].shape
    channels = shape[-1]
    wrong = [array.shape for array in activations if array.shape != shape]
    wrong += [array.shape for array in vectors if array is not None and array.shape != (channels,)]
    wrong += [array.shape for array in pairs if array.shape != (2, channels)]
    if wrong:
        raise ValueError(f"bnorm: arrays of shape {wrong} beside activations of shape {shape}")
    return activations[0].size // channels, channels
