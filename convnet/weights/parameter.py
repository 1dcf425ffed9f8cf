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
    many equal parts of the rows have columns of their own, for windows with filters of their own or for the parts of an
    sfc layer; 0 where there are no such parts. `shrinks`: the limit `wball` makes columns shorter, but
    not longer. `initial`: the value of all its numbers at first; None if the layer's keys say it.
    """

    rows: int
    columns: int
    order: tuple[str, object] | None = None
    maps: Maps | None = None
    windows: int = 0
    shrinks: bool = False
    initial: float | None = None

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
    """A weight matrix, or the biases of a layer (`index` None), and how it learns; or one of a layer's statistics.

    A statistic, which bears a name and has no index either, is never learned: fprop writes it while training.
    Several layers may use one parameter; it bears the name and the rates of its owner. `update_period`: it is updated
    after every so many passes, with the sum of their gradients; 0: as often as possible. `wball`: the L2 norm
    of the matrix's columns after an update, by the cfg key wball, or by wballMax, with which the matrix `shrinks`;
    `norm_min` and `norm_max`: the cfg keys wcNormMin and wcNormMax. 0 where they ask for nothing.
    """

    layer: str
    index: int | None
    matrix: Matrix
    eps: ParameterSchedule
    momentum: float
    decay: float = 0.0
    wball: float = 0.0
    norm_min: float = 0.0
    norm_max: float = 0.0
    nesterov: bool = False
    update_period: int = 0
    statistic: str | None = None

    @property
    def name(self) -> str:
        """`conv1.weights.0`, `conv1.biases` or `bnorm1.mean`: its name in checkpoints."""
        if self.statistic is not None:
            return f"{self.layer}.{self.statistic}"
        return f"{self.layer}.biases" if self.index is None else f"{self.layer}.weights.{self.index}"

    @property
    def saved(self) -> dict[str, str]:
        """What checkpoints hold of it: the flat arrays, and its name there. A statistic has no increments."""
        return {"weights": self.name} | ({} if self.statistic else {"increments": f"{self.name}.inc"})

    @property
    def learns(self) -> bool:
        """False if it stays as it was initialised."""
        return self.eps.learns
