"""`convnet data sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convnet.training.options import ALL, DATA

from .options import from_keys, given

_SEED = next(key for key in ALL if key.name == "seed")
_KEYS = (*(key for key in DATA if key.name != "data"), _SEED)
_MOST_CASES = 1000


@click.command("sample")
@click.argument("path", required=False)
@click.option(
    "--out", metavar="FILE.png", type=click.Path(path_type=Path), default="sample.png", show_default=True,
    help="The picture to write.",
)  # fmt: skip
@click.option(
    "--cases", type=click.IntRange(1, _MOST_CASES), default=16, show_default=True, help="How many cases to draw.",
)  # fmt: skip
@click.option("--test", is_flag=True, help="Draw test cases, as a net gets them in testing.")
@from_keys(_KEYS)
def command(path: str | None, out: Path, cases: int, test: bool, **values: Any) -> None:
    """Draw some cases at random as the net gets them in training: cropped, mirrored, with colour noise.

    Writes a picture of all of them, and prints the row and column of each with its class. The mean is added back. PATH
    is what --data takes; without it, the built-in sample.

    \b
    convnet data sample data/cifar-10-batches-py --crop-border 4
    convnet data sample imagenet --crop 224 --noise 0.1 --cases 25 --seed 3
    """
    # Imported here so that --help stays quick.
    from convnet.data.pictures import columns, draw_sample, grid, save_picture
    from convnet.training.options import merged
    from convnet.training.session import data_options

    options = data_options(merged({**given(values, _KEYS), "data": path}))
    sample = draw_sample(options, cases, test=test)
    save_picture(grid(sample.images), out)
    count = len(sample.names)
    click.echo(f"{sample.description}: {count} {'test' if test else 'training'} cases")
    for case, names in enumerate(sample.names):
        row, column = divmod(case, columns(count))
        click.echo(f"{row + 1}.{column + 1}  {', '.join(names) or 'no label'}")
    click.echo(f"saved {out}")
