"""Where each parameter lies in the flat arrays of a device, and the rates it learns at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from convnet.weights.parameter import Parameter
from convnet.weights.schedule import Progress

SPACES = ("weights", "increments", "gradients")  # the flat arrays

_LARGEST = 2**40  # numbers in a flat array: beyond any machine, below any overflow
_ALIGNMENT = 16  # numbers between possible beginnings: one widest vector of float32


class ParameterLayout:
    """The parameters on one device, one behind the other.

    minibatches: over how many nominal minibatches the gradient of each is summed up, where it is not one each.
    `offsets` (s, 2): where each begins and ends. `rates` (s, 5): eps, momentum, decay, 1/minibatch and whether the
    momentum is Nesterov's, of each, read by the update whenever it runs. `size`: numbers in a flat array.
    """

    def __init__(self, parameters: Sequence[Parameter], minibatches: Sequence[float] | None = None) -> None:
        self.parameters = list(parameters)
        self.minibatches = [1.0] * len(self.parameters) if minibatches is None else list(minibatches)
        sizes = [parameter.matrix.size for parameter in self.parameters]
        begins = [0, *accumulate(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]
        self.size = begins[-1]
        if self.size > _LARGEST:
            raise MemoryError(f"{self.size} weights")
        ends = [begin + size for begin, size in zip(begins, sizes, strict=False)]
        self.offsets = np.ascontiguousarray(np.array([begins[:-1], ends], np.int64).T)
        self.rates = np.zeros((len(sizes), 5))
        self._index = {parameter: i for i, parameter in enumerate(self.parameters)}

    def __contains__(self, parameter: object) -> bool:
        return parameter in self._index

    def begin(self, parameter: Parameter) -> int:
        """The first number of a parameter in the flat arrays."""
        return int(self.offsets[self._index[parameter], 0])

    def rows(self, parameters: Sequence[Parameter]) -> slice:
        """The rows of `offsets` and `rates` that belong to parameters which lie one behind the other."""
        first = self._index[parameters[0]]
        return slice(first, first + len(parameters))

    def set_rates(self, progress: Progress, minibatch: int) -> None:
        """Set the rates to what the schedules say when training is so far."""
        for row, parameter, minibatches in zip(self.rates, self.parameters, self.minibatches, strict=True):
            share = 1 / (minibatches * minibatch)
            row[:] = parameter.eps.value(progress), parameter.momentum, parameter.decay, share, parameter.nesterov
