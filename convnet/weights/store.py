"""The weights of a net: three flat arrays on each device, so that one pass updates them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convnet import ops
from convnet.backends import Device
from convnet.tensor import NumberTypes
from convnet.weights.layout import SPACES, ParameterLayout
from convnet.weights.parameter import Matrix, Parameter
from convnet.weights.schedule import Progress

Array = np.ndarray[Any, Any]


class DeviceWeights:
    """The flat arrays of one device: weights, their increments (momentum) and their gradients.

    Where activations are held in a rougher type there is a fourth flat array, the operands: the weights rounded to it,
    which the update keeps up to date.
    """

    def __init__(self, layout: ParameterLayout, device: Device, types: NumberTypes) -> None:
        self.layout, self.device, self._types = layout, device, types
        spaces = [*SPACES, "operands"] if types.rounded else SPACES
        self._blocks = {space: device.allocate(layout.size * self._type(space).itemsize) for space in spaces}

    def array(self, space: str, begin: int, shape: tuple[int, ...]) -> Any:
        """The part of a flat array that begins at number `begin`."""
        dtype = self._type(space)
        return self.device.array(self._blocks[space], begin * dtype.itemsize, shape, dtype)

    def of(self, space: str, parameter: Parameter) -> Any:
        """A parameter's part of a flat array."""
        return self.array(space, self.layout.begin(parameter), parameter.matrix.shape)

    def _type(self, space: str) -> np.dtype[Any]:
        return self._types.activations if space == "operands" else self._types.weights


class WeightStore:
    """The weights of a net on all its devices, which are of one kind. `layouts`: what each of them has.

    Between two minibatches replicas hold the same weights and increments, and the same gradients unless these are
    summed up over several.
    """

    def __init__(self, layouts: Mapping[int, ParameterLayout], devices: Mapping[int, Device], dtype: Any) -> None:
        self.layouts = dict(layouts)
        first = next(iter(devices.values()))
        self.backend, self.types = first.backend, first.types(np.dtype(dtype))
        self._held = {index: DeviceWeights(layout, devices[index], self.types) for index, layout in layouts.items()}

    def array(self, space: str, device: int, begin: int, shape: tuple[int, ...]) -> Any:
        """The part of a device's flat array that begins at number `begin`."""
        return self._held[device].array(space, begin, shape)

    def get(self, space: str, parameter: Parameter, replica: int = 0) -> Array:
        """A copy of a parameter's weights, increments or gradients: (rows, columns) in cuda-convnet's order."""
        held = self._replicas(parameter)[replica]
        values = held.device.download(held.of(space, parameter))
        return _reorder(values, parameter.matrix, self.backend, to_memory=False)

    def set(self, space: str, parameter: Parameter, values: Array, replica: int | None = None) -> None:
        """Set a parameter's weights, increments or gradients from (rows, columns) in cuda-convnet's order.

        replica: one of them; without, all.
        """
        ordered = _reorder(values, parameter.matrix, self.backend, to_memory=True)
        for held in self._replicas(parameter)[slice(replica, None if replica is None else replica + 1)]:
            for part in [space, "operands"] if space == "weights" and self.types.rounded else [space]:
                held.device.upload(ordered, held.of(part, parameter))

    def set_rates(self, progress: Progress, minibatch: int) -> None:
        """Set the rates of all devices; see `ParameterLayout.set_rates`."""
        for layout in self.layouts.values():
            layout.set_rates(progress, minibatch)

    def _replicas(self, parameter: Parameter) -> list[DeviceWeights]:
        return [held for held in self._held.values() if parameter in held.layout]


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
