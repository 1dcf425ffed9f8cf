"""Whether data fits a checkpoint, and what the checkpoint's net needs to know of the data it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convnet.config.report import Report
from convnet.data import takes_path
from convnet.data.provider import DataProvider
from convnet.errors import ConvnetError
from convnet.training.checkpoint import Checkpoint
from convnet.training.options import Options

# Options that say how one data set is to be read: with other data they mean nothing.
_OF_ONE_DATA_SET = (
    "data-provider", "batch-size", "test-share", "image-size", "train-range", "late-range", "late-epoch", "test-range",
)  # fmt: skip


def data_record(provider: DataProvider) -> dict[str, Any]:
    """What a checkpoint keeps of the data, as plain values: shapes, names of the classes, cases of each batch."""
    batches = [*provider.train_batches, *provider.test_batches]
    return {
        "shapes": [str(shape.maps or shape.features) for shape in provider.shapes],
        "label_names": list(provider.label_names),
        "cases": {str(number): provider.cases(number) for number in batches},
    }


def without_old_data(options: Options, given: Options) -> Options:
    """Stored options, less those of the old data set if the command line gives other data."""
    if "data" not in given and not _needs_no_path(given):
        return options
    left = {name: value for name, value in options.items() if name not in _OF_ONE_DATA_SET}
    return without_old_path(left, given)


def without_old_path(options: Options, given: Options) -> Options:
    """Options less the path of data, if the command line names a data provider that takes none."""
    if "data" in given or not _needs_no_path(given):
        return options
    return {name: value for name, value in options.items() if name != "data"}


def _needs_no_path(given: Options) -> bool:
    return given.get("data-provider") is not None and not takes_path(given["data-provider"])


def fit_to_checkpoint(provider: DataProvider, checkpoint: Checkpoint, folder: Path, report: Report) -> None:
    """Check data against what a checkpoint's net was trained on, and have it normalized as then.

    Raises:
        ConvnetError: if images or classes differ.
    """
    then, now = checkpoint.data, data_record(provider)
    shapes = then.get("shapes", ["nothing"])
    if now["shapes"][: len(shapes)] != shapes:  # matrices that the net does not know are no hindrance
        wanted, found = (" and ".join(shapes) for shapes in (shapes, now["shapes"]))
        raise ConvnetError(f"{folder}: expected data of {wanted}, which the net was trained on, found {found}")
    # A checkpoint of cuda-convnet tells neither the names of the classes nor the cases of batches.
    names, before = now["label_names"], then.get("label_names", now["label_names"])
    if names != before and sorted(names) == sorted(before):
        raise ConvnetError(f"{folder}: expected the classes in the order {', '.join(before)}; found {', '.join(names)}")
    if names != before:
        report.note(f"the names of the classes differ from those that the net of {folder} was trained on")
    provider.use_statistics(checkpoint.statistics)


def note_changes(provider: DataProvider, checkpoint: Checkpoint, report: Report) -> None:
    """Say so if training goes on with other numbers of cases than before."""
    now = data_record(provider)["cases"]
    if now != checkpoint.data.get("cases", now):
        report.note("the data batches have changed since the checkpoint was written")
