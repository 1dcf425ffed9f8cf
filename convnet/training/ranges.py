"""Which data batches are trained on in which epoch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from convnet.config.report import Report
from convnet.data.provider import DataProvider
from convnet.errors import ConvnetError
from convnet.training.options import Options


class _MissingBatchError(ConvnetError):
    """The data has no such batch."""


@dataclass(frozen=True)
class TrainRange:
    """Data batches that are trained on in every epoch; from epoch `late_epoch` on, if there is one, those of `late`.

    cuda-convnet's users held a batch back, to see on it when the rate should fall, and added it to the others then.
    """

    usual: list[int]
    late: list[int]
    late_epoch: int | None = None

    @classmethod
    def of(cls, options: Options, given: Collection[str], provider: DataProvider, report: Report) -> TrainRange:
        """What the options say. given: the names of those that the command line gave.

        Ranges of a [train] section are meant for one data set: for data without such batches they are passed over, and
        the report gets a note.

        Raises:
            ConvnetError: if the data lacks batches that the command line asked for, or only one of late-range and
                late-epoch is given.
        """
        names = ("train-range", "late-range")
        try:
            return cls._checked(options, provider)
        except _MissingBatchError as error:
            if any(name in given for name in names):
                raise
            found = str(error)
        unused = " and ".join(name for name in names if options[name])
        report.note(f"{found}; the [train] section's {unused} {'are' if ' ' in unused else 'is'} not used")
        return cls._checked({**options, "train-range": None, "late-range": None, "late-epoch": None}, provider)

    @classmethod
    def _checked(cls, options: Options, provider: DataProvider) -> TrainRange:
        usual = checked_range(options["train-range"], provider.train_batches, provider, "train-range")
        late, epoch = options["late-range"], options["late-epoch"]
        if (late is None) != (epoch is None):
            missing, there = ("late-range", "late-epoch") if late is None else ("late-epoch", "late-range")
            raise ConvnetError(f"--{missing}: expected, because there is a {there}: the data batches from an epoch on")
        return cls(usual, checked_range(late, usual, provider, "late-range"), epoch)

    def at(self, epoch: int) -> list[int]:
        """The batches of an epoch (from 1)."""
        return self.late if self.late_epoch is not None and epoch >= self.late_epoch else self.usual

    def before(self, epoch: int) -> int:
        """The number of batches in all epochs before one."""
        early = epoch - 1 if self.late_epoch is None else min(epoch, self.late_epoch) - 1
        return early * len(self.usual) + (epoch - 1 - early) * len(self.late)


def checked_range(
    asked: Sequence[int] | None, usual: Sequence[int], provider: DataProvider, option: str
) -> list[int]:
    """The batches asked for, of those that the data has, or the usual ones.

    Raises:
        ConvnetError: if one of them does not exist.
    """
    present = [*provider.train_batches, *provider.test_batches]
    missing = [number for number in asked or [] if number not in present]
    if missing:
        wanted = f"data batches from {present[0]} to {present[-1]}"
        raise _MissingBatchError(f"--{option}: expected {wanted}, found {missing[0]}")
    if not (asked or usual):
        raise ConvnetError(f"--{option}: the data has no batches for this; the option can name others")
    return list(asked or usual)
