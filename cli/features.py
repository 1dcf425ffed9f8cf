"""`convnet features`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from convnet.backends import DeviceOptions
from convnet.training.options import ALL, DATA, TEST_RANGE

from .options import CHECKPOINT, device_options, from_keys, given
from .progress import Bar

_MINI = next(key for key in ALL if key.name == "mini")
# No defaults: the checkpoint knows.
_KEYS = tuple(replace(key, default=None) for key in (*DATA, TEST_RANGE, _MINI))


@click.command("features")
@CHECKPOINT
@click.option("--layer", "--write-features", "layer", metavar="NAME", help="The layer whose output is written.")
@click.option(
    "--out", "--feature-path", "out", metavar="DIR", type=click.Path(), help="The folder to be made for the files."
)
@click.option(
    "--form", type=click.Choice(("npz", "original")), default="npz", show_default=True,
    help="NumPy's .npz files, or pickles as cuda-convnet2 writes them.",
)  # fmt: skip
@from_keys(_KEYS)
@device_options
def command(
    checkpoint: str | None, layer: str | None, out: str | None, form: str, device: DeviceOptions, **values: Any
) -> None:
    """Write what a layer gives for the test cases, one file for each data batch.

    A file data_batch_N.npz holds data, (cases, features) float32, and labels. Features are ordered by channel, then y,
    then x. A layer with neuron= gives what its neuron gives.

    \b
    convnet features --checkpoint runs/RUN --layer fc7 --out DIR
    convnet features --checkpoint runs/RUN --layer pool5 --out DIR --data PATH
    """
    for name, value in (("--checkpoint", checkpoint), ("--layer", layer), ("--out", out)):
        if value is None:
            raise click.UsageError(f"expected {name}")
    with Bar() as bar:
        # Imported here so that --help stays quick.
        from convnet.training.features import write_features

        options = given(values, _KEYS)
        written = write_features(Path(str(checkpoint)), str(layer), Path(str(out)), form, options, device,
                                 partial(bar.move, "testing"))  # fmt: skip
    click.echo(f"data: {written.data}")
    click.echo(
        f"{written.checkpoint}: {written.features:,} features of layer '{written.layer}' for {written.cases:,} cases, "
        f"in {len(written.batches)} files"
    )
    click.echo(f"saved {out}")
