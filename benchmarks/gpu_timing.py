"""Times on a GPU: medians between marks that are put into its queue."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

AHEAD = 3  # steps in the queue beyond the one that is waited for
WARM_UP = 5


class Mark(Protocol):
    """A CUDA event of PyCUDA or PyTorch."""

    def synchronize(self) -> Any:
        """Wait until the queue has come to it."""


def median_ms(
    step: Callable[[], object], mark: Callable[[], Any], between: Callable[[Any, Any], float], repeats: int
) -> float:
    """The median time of a step, from a mark before it to one behind it; a few steps first to warm up."""
    for _ in range(WARM_UP):
        step()
    marks = [mark()]
    for _ in range(repeats):
        step()
        marks.append(mark())
        if len(marks) > AHEAD:
            marks[-AHEAD].synchronize()
    marks[-1].synchronize()
    return statistics.median(between(first, second) for first, second in pairwise(marks))


class CudaMarks:
    """Marks in the stream of one of this project's devices."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def mark(self) -> Any:
        """An event at this point of the stream."""
        import pycuda.driver as cuda

        event = cuda.Event()
        event.record(self._stream)
        return event

    @staticmethod
    def between(first: Any, second: Any) -> float:
        """Milliseconds from one event to the next."""
        return float(second.time_since(first))

    def median_ms(self, step: Callable[[], object], repeats: int) -> float:
        """The median time of a step."""
        return median_ms(step, self.mark, self.between, repeats)
