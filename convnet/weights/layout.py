"""Where each parameter lies in the flat arrays of a device, and the rates it learns at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from convnet.weights.parameter import Parameter

SPACES = ("weights", "increments", "gradients")  # the flat arrays

_LARGEST = 2**40  # numbers in a flat array: beyond any machine, below any overflow
_ALIGNMENT = 16  # numbers between possible beginnings: one widest vector of float32


class ParameterLayout:
    """All parameters of a net, one behind the other.

    `offsets` (s, 2): where each begins and ends. `rates` (s, 4): eps, momentum, decay and 1/minibatch of each, read by
    the update whenever it runs. `size`: numbers in a flat array.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        sizes = [parameter.matrix.size for parameter in self.parameters]
        begins = [0, *accumulate(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]
        self.size = begins[-1]
        if self.size > _LARGEST:
            raise MemoryError(f"{self.size} weights")
        ends = [begin + size for begin, size in zip(begins, sizes, strict=False)]
        self.offsets = np.ascontiguousarray(np.array([begins[:-1], ends], np.int64).T)
        self.rates = np.zeros((len(sizes), 4))
        self._index = {parameter: i for i, parameter in enumerate(self.parameters)}

    def begin(self, parameter: Parameter) -> int:
        """The first number of a parameter in the flat arrays."""
        return int(self.offsets[self._index[parameter], 0])

    def set_rates(self, progress: float, minibatch: int) -> None:
        """Set the rates to what the schedules say when `progress` (0..1) of training is done."""
        for row, parameter in zip(self.rates, self.parameters, strict=True):
            row[:] = parameter.eps.value(progress), parameter.momentum, parameter.decay, 1 / minibatch
