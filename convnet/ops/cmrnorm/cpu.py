"""Response normalization across maps, on the CPU.

Blocks of pixels are laid out as strips: the channels of one pixel, size - 1 zeros, the channels of the next, and so on.
A sum over a window is then a sum of shifted strips, in loops as long as a strip, whatever the number of channels.
"""

from __future__ import annotations

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cpu_power import gradient, invert, product, pull, raise_to_power
from convnet.ops.rnorm.cpu_window import sliding_sums

_STRIP = 512  # elements: a few strips fit into the first cache


def fprop(dev: CpuDevice, x: Array, y: Array, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    block, items = _blocks(x, norm.size)
    inverse = factor = _pixel_rows(x, block, norm.size)
    return dev.parallel(
        _fprop, items, *_pixels(x, y), x.shape[1] * x.shape[2], block, norm.size, norm.alpha, norm.power, norm.min_div,
        norm.blocked, _strip(x, block, norm.size), inverse, factor, cases=Cases(len(x)),
    )  # fmt: skip


def bprop(dev: CpuDevice, dy: Array, x: Array, dx: Array, norm: Normalization, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop."""
    block, items = _blocks(x, norm.size)
    strip = pull_strip = _strip(x, block, norm.size)
    sums = factor = _pixel_rows(x, block, norm.size)
    return dev.parallel(
        _bprop, items, *_pixels(dy, x, dx), x.shape[1] * x.shape[2], block,
        norm.size, norm.alpha, norm.power, norm.min_div, norm.blocked, accumulate, strip, pull_strip, sums, factor,
        cases=Cases(len(x)),
    )  # fmt: skip


def _pixels(*maps: Array) -> list[Array]:
    """Arrays of one shape (n, y, x, channel), each seen as (n*y*x, channel)."""
    shapes = [array.shape for array in maps]
    if len(set(shapes)) > 1:
        raise ValueError(f"cmrnorm: expected arrays of one shape, found {shapes}")
    return [array.reshape(-1, shapes[0][3]) for array in maps]


def _blocks(x: Array, size: int) -> tuple[int, int]:
    """How many pixels one strip takes, and how many strips there are, none of which is of two cases."""
    cases, height, width, channels = x.shape
    block = max(1, _STRIP // _pitch(channels, size))
    return block, cases * -(-height * width // block)


def _pitch(channels: int, size: int) -> int:
    """Elements from pixel to pixel of a strip: channels and gap."""
    return channels + size - 1


def _strip(x: Array, block: int, size: int) -> Scratch:
    """Room for a strip: a gap before the first pixel or behind the last one too, as the window needs."""
    return Scratch((block * _pitch(x.shape[3], size) + size - 1,), x.dtype)


def _pixel_rows(x: Array, block: int, size: int) -> Scratch:
    """Room for what is computed of a strip: (pixel, channel and gap)."""
    return Scratch((block, _pitch(x.shape[3], size)), x.dtype)


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array,
    pixels: int, block: int, size: int, alpha: float, power: float, min_div: float, blocked: bool,
    strip: Array, inverse: Array, factor: Array,
) -> None:  # fmt: skip
    """Items are blocks of pixels."""
    squares = _cleared(strip, inverse.shape, size // 2)
    for item in range(start, stop):
        here = _strip_of(item, pixels, block)
        product(x[here], x[here], squares)
        _window_sums(strip, squares, size, blocked, inverse)
        invert(inverse.reshape(-1), alpha, min_div)
        raise_to_power(inverse.reshape(-1), power, factor.reshape(-1))
        product(x[here], factor, y[here])


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, dx: Array,
    pixels: int, block: int, size: int, alpha: float, power: float, min_div: float, blocked: bool, accumulate: bool,
    strip: Array, pull_strip: Array, sums: Array, factor: Array,
) -> None:  # fmt: skip
    """Items are blocks of pixels. A channel is in the windows that begin size - 1 - size // 2 before it."""
    squares = _cleared(strip, sums.shape, size // 2)
    pulls = _cleared(pull_strip, sums.shape, size - 1 - size // 2)
    for item in range(start, stop):
        here = _strip_of(item, pixels, block)
        product(x[here], x[here], squares)
        _window_sums(strip, squares, size, blocked, sums)
        invert(sums.reshape(-1), alpha, min_div)
        raise_to_power(sums.reshape(-1), power, factor.reshape(-1))
        pull(dy[here], x[here], sums, factor, pulls)
        _window_sums(pull_strip, pulls, size, blocked, sums)
        gradient(dy[here], x[here], factor, sums, -2 * alpha * power, accumulate, dx[here])


@inlined
def _strip_of(item: int, pixels: int, block: int) -> slice:
    """The pixels of a strip, of a case that has so many."""
    case, part = divmod(item, -(-pixels // block))
    return slice(case * pixels + part * block, case * pixels + min(pixels, (part + 1) * block))


@inlined
def _cleared(strip: Array, shape: tuple[int, int], before: int) -> Array:
    """The strip, now all zeros, seen as (pixel, channel and gap), where channel 0 has `before` zeros before it."""
    strip[:] = 0
    return strip[before : before + shape[0] * shape[1]].reshape(shape)


@inlined
def _window_sums(strip: Array, pixels: Array, size: int, blocked: bool, sums: Array) -> None:
    """sums (pixel, channel and gap) = the sum over the window of each element; pixels: the view of the strip.

    A block that runs over the last channel ends in the gap, which is zero.
    """
    if not blocked:
        sliding_sums(strip, 1, size, sums.reshape(-1))
        return
    channels = pixels.shape[1] - size + 1
    for pixel in range(len(pixels)):
        for first in range(0, channels, size):
            block = slice(first, first + size)
            sums[pixel, block] = pixels[pixel, block].sum()
