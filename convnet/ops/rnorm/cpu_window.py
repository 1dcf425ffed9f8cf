"""Sums over windows, for the kernels of all normalizations. A plane is one case as (y, x*channel)."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, Scratch
from convnet.backends.cpu.jit import inlined
from convnet.ops.rnorm.cpu_power import invert, pull, raise_to_power


def planes(*maps: Array) -> list[Array]:
    """Arrays of one shape (n, y, x, channel), each seen as (n, y, x*channel).

    Raises:
        ValueError: they are not of one shape.
    """
    shapes = [array.shape for array in maps]
    if len(set(shapes)) > 1:
        raise ValueError(f"normalization: expected arrays of one shape, found {shapes}")
    cases, height, width, channels = shapes[0]
    return [array.reshape(cases, height, width * channels) for array in maps]


def line_of(x: Array, size: int) -> Scratch:
    """Room for one row of a plane of x (n, y, x, channel) and what windows of `size` pixels need beside it."""
    _, _, width, channels = x.shape
    return Scratch(((width + size - 1) * channels,), x.dtype)


def row_of(x: Array) -> Scratch:
    """Room for one row of a plane of x (n, y, x, channel), as (1, x*channel)."""
    _, _, width, channels = x.shape
    return Scratch((1, width * channels), x.dtype)


def plane_of(x: Array) -> Scratch:
    """Room for one plane of x (n, y, x, channel)."""
    _, height, width, channels = x.shape
    return Scratch((height, width * channels), x.dtype)


@inlined
def sliding_sums(values: Array, step: int, size: int, sums: Array) -> None:
    """sums[i] = values[i] + values[i + step] + ... (`size` terms); values: (size - 1) * step longer than sums."""
    length = sums.size
    for i in range(length):
        sums[i] = values[i]
    for k in range(1, size):
        _add(values[k * step : k * step + length], sums)


@inlined
def box_sums(
    plane: Array, row: int, channels: int, size: int, before: int, squared: bool, line: Array, sums: Array
) -> None:
    """sums = for each element of a row, the sum over the window around it (of the squares, if `squared`).

    A window begins `before` pixels above and left of its element and is clipped to the plane.
    line: scratch, (x + size - 1) * channels elements. sums: x*channel elements.
    """
    height, width = plane.shape
    line[:] = 0
    middle = line[before * channels : before * channels + width]
    for source in range(max(0, row - before), min(height, row - before + size)):
        if squared:
            _add_squares(plane[source], middle)
        else:
            _add(plane[source], middle)
    sliding_sums(line, channels, size, sums)


@inlined
def denominators(
    plane: Array, row: int, channels: int, size: int, alpha: float, power: float, min_div: float,
    line: Array, inverse: Array, factor: Array,
) -> None:  # fmt: skip
    """inverse = 1 / d and factor = d^-power of a row, where d sums squares of the plane. line as for box_sums."""
    box_sums(plane, row, channels, size, size // 2, True, line, inverse)
    invert(inverse, alpha, min_div)
    raise_to_power(inverse, power, factor)


@inlined
def pulls_of(
    dy: Array, x: Array, summed: Array, factor: Array, pulls: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float, line: Array, inverse: Array,
) -> None:  # fmt: skip
    """factor = d^-power and pulls = dy * x * d^(-power-1) of one case, where d sums squares of `summed`.

    line, inverse: scratch for a line and a row.
    """
    for row in range(len(x)):
        here = slice(row, row + 1)
        denominators(summed, row, channels, size, alpha, power, min_div, line, inverse[0], factor[row])
        pull(dy[here], x[here], inverse, factor[here], pulls[here])


@inlined
def _add(values: Array, sums: Array) -> None:
    for i in range(sums.size):
        sums[i] += values[i]


@inlined
def _add_squares(values: Array, sums: Array) -> None:
    for i in range(sums.size):
        sums[i] += values[i] * values[i]
