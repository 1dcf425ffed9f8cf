"""What is known of a weight matrix or a set of biases before it has memory."""

from __future__ import annotations

from dataclasses import dataclass

from convnet.shape import Maps
from convnet.weights.schedule import ParameterSchedule


@dataclass(frozen=True)
class Matrix:
    """The shape of a weight matrix or of biases as users see it, and how it lies in memory.

    `order` names the operation whose weights_to_memory / weights_from_memory reorder the rows, and its geometry; None
    if they stay as they are. `maps`: for biases with one number for each output, the maps they lie like. `windows`: how
    many windows have filters of their own; 0 where filters are shared or there are none.
    """

    rows: int
    columns: int
    order: tuple[str, object] | None = None
    maps: Maps | None = None
    windows: int = 0

    @property
    def size(self) -> int:
        """Numbers in it."""
        return self.rows * self.columns

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Parameter:
    """A weight matrix, or the biases of a layer (`index` None), and how it learns.

    Several layers may use one parameter; it bears the name and the rates of its owner.
    """

    layer: str
    index: int | None
    matrix: Matrix
    eps: ParameterSchedule
    momentum: float
    decay: float = 0.0
    wball: float = 0.0

    @property
    def name(self) -> str:
        """`conv1.weights.0` or `conv1.biases`: its name in checkpoints."""
        return f"{self.layer}.biases" if self.index is None else f"{self.layer}.weights.{self.index}"

    @property
    def learns(self) -> bool:
        """False if it stays as it was initialised."""
        return self.eps.learns
