"""The weights of a net on one device: three flat arrays, so that one pass updates them all."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet import ops
from convnet.backends import Device
from convnet.weights.layout import SPACES, ParameterLayout
from convnet.weights.parameter import Matrix, Parameter

Array = np.ndarray[Any, Any]


class WeightStore:
    """Weights, their increments (momentum) and their gradients, on a device of any backend.

    Where activations are held in a rougher type there is a fourth flat array, the operands: the weights rounded to it,
    which the update keeps up to date.
    """

    def __init__(self, layout: ParameterLayout, device: Device, dtype: Any) -> None:
        self.layout, self.device, self.types = layout, device, device.types(np.dtype(dtype))
        spaces = [*SPACES, "operands"] if self.types.rounded else SPACES
        self._blocks = {space: device.allocate(layout.size * self._type(space).itemsize) for space in spaces}

    def array(self, space: str, begin: int, shape: tuple[int, ...]) -> Any:
        """The part of a flat array that begins at number `begin`."""
        dtype = self._type(space)
        return self.device.array(self._blocks[space], begin * dtype.itemsize, shape, dtype)

    def _type(self, space: str) -> np.dtype[Any]:
        return self.types.activations if space == "operands" else self.types.weights

    def get(self, space: str, parameter: Parameter) -> Array:
        """A copy of a parameter's weights, increments or gradients: (rows, columns) in cuda-convnet's order."""
        held = self.array(space, self.layout.begin(parameter), parameter.matrix.shape)
        return _reorder(self.device.download(held), parameter.matrix, self.device.backend, to_memory=False)

    def set(self, space: str, parameter: Parameter, values: Array) -> None:
        """Set a parameter's weights or increments from (rows, columns) in cuda-convnet's order."""
        ordered = _reorder(values, parameter.matrix, self.device.backend, to_memory=True)
        for part in [space, "operands"] if space == "weights" and self.types.rounded else [space]:
            self.device.upload(ordered, self.array(part, self.layout.begin(parameter), parameter.matrix.shape))


def _reorder(values: Array, matrix: Matrix, backend: str, *, to_memory: bool) -> Array:
    """Rows (or, for biases of each output, elements) in the order of memory, or back."""
    if matrix.order:
        operation, geometry = matrix.order
        module = ops.load(operation, backend)
        function = module.weights_to_memory if to_memory else module.weights_from_memory
        ordered: Array = function(values, geometry)
        return ordered
    if matrix.maps:
        channels, pixels = matrix.maps.channels, matrix.maps.pixels
        cut = (channels, pixels) if to_memory else (pixels, channels)
        return np.ascontiguousarray(values.reshape(cut).T).reshape(matrix.shape)
    return values
