"""Windows of maps as kernels take them, and numbers copied and added from one place of an array to another."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined
from convnet.ops.conv import ConvGeometry


class Windows(NamedTuple):
    """The numbers of a ConvGeometry that kernels need. rows: numbers in a window of one group."""

    height: int
    width: int
    channels: int
    size: int
    padding: int
    stride: int
    modules_y: int
    modules_x: int
    filter_channels: int
    rows: int


def windows(geometry: ConvGeometry) -> Windows:
    """The geometry for kernels."""
    channels, height, width = geometry.maps
    return Windows(height, width, channels, geometry.filter_size, geometry.padding, geometry.stride,
                   geometry.modules_y, geometry.modules_x, geometry.filter_channels, geometry.rows)  # fmt: skip


@intrinsic
def copy(_typing_context: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """Do target[at:at + count] = source[start:start + count] for one-dimensional contiguous arrays, by memcpy.

    The runs copied here are often shorter than what a vectorised loop takes in one step.
    """
    signature = types.void(target, at, source, start, count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def element(position: int) -> Any:
            array = cgutils.create_struct_proxy(signature.args[position])(context, builder, arguments[position])
            return builder.gep(array.data, [arguments[position + 1]])

        size = context.get_abi_sizeof(context.get_data_type(target.dtype))
        cgutils.raw_memcpy(builder, element(0), element(2), arguments[4], size)
        return context.get_dummy_value()

    return signature, generate


@inlined
def add(target: Array, at: int, source: Array, start: int, count: int) -> None:
    """`target[at:at + count]` += source[start:start + count]."""
    to, number = target[at : at + count], source[start : start + count]
    for i in range(count):
        to[i] += number[i]
