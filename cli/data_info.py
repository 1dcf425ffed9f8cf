"""`convnet data info`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet.training.options import DATA

from .options import JSON, from_keys, given

if TYPE_CHECKING:
    from convnet.data.info import DataInfo, Part

_KEYS = tuple(key for key in DATA if key.name in ("data-provider", "input", "batch-size", "test-share", "image-size"))


@click.command("info")
@click.argument("path", required=False)
@click.option(
    "--picture", metavar="FILE.png", type=click.Path(path_type=Path),
    help="Write a picture of the mean image; for colours, beside it the mean colour with -2 to 2 deviations along each "
    "principal axis.",
)  # fmt: skip
@from_keys(_KEYS)
@JSON
def command(path: str | None, picture: Path | None, as_json: bool, **values: Any) -> None:
    """Show what is in data: cases, batches, classes and how many cases each has, and the mean colour.

    PATH is what --data takes; without it, the built-in sample.

    \b
    convnet data info data/cifar-10-batches-py
    convnet data info imagenet --picture mean.png --json
    """
    # Imported here so that --help stays quick.
    from convnet.data.info import data_info
    from convnet.data.pictures import save_picture, statistics_picture
    from convnet.training.options import merged
    from convnet.training.session import data_options

    options = data_options(merged({**given(values, _KEYS), "data": path}))
    info = data_info(options, axes=picture is not None)
    if picture:
        save_picture(statistics_picture(info.mean, info.colour_axes), picture)
    click.echo(json.dumps(info.plain(), indent=1) if as_json else _text(info))
    if picture and not as_json:
        click.echo(f"saved {picture}")


def _text(info: DataInfo) -> str:
    what = f"images of {'x'.join(map(str, info.shape))}" if info.shape[1:] else f"cases of {info.shape[0]} features"
    lines = [f"{info.description}: {what} in {len(info.label_names)} classes"]
    lines += [f"{name}: {_part_text(part)}" for name, part in (("training", info.train), ("testing", info.test))]
    if info.several_labels:
        lines.append("cases may have several labels, or none")
    if info.stored is not None:
        lines.append(f"stored images: {info.stored:,} bytes")
    if info.mean_colour:
        lines.append(f"mean of the channels: {' '.join(f'{mean:.1f}' for mean in info.mean_colour)}")
    return "\n".join([*lines, *_table(info)])


def _part_text(part: Part) -> str:
    if not part.batches:
        return "no cases"
    cases = sorted({*part.batches.values()})
    sizes = f"{cases[0]:,}" if len(cases) == 1 else f"{cases[0]:,} to {cases[-1]:,}"
    unlabelled = f"; without a label: {part.unlabelled:,}" if part.unlabelled else ""
    plural = "es" if len(part.batches) > 1 else ""
    return f"{part.cases:,} cases in batch{plural} {_ranges([*part.batches])} of {sizes}{unlabelled}"


def _ranges(numbers: list[int]) -> str:
    """Numbers in short, as 0-417."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs)


def _table(info: DataInfo) -> list[str]:
    rows = [("class", "training", "testing")]
    counts = zip(info.label_names, info.train.counts, info.test.counts, strict=True)
    rows += [(name, f"{train:,}", f"{test:,}") for name, train, test in counts]
    width = max(len(name) for name, _, _ in rows)
    return [f"{name.ljust(width)}  {train:>10}  {test:>10}" for name, train, test in rows]
