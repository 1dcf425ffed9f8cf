"""`convnet test`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from convnet.backends import DeviceOptions
from convnet.config.keys import Key
from convnet.config.kinds import Bool
from convnet.training.options import ALL, DATA, TEST_RANGE

from .options import CHECKPOINT, JSON, device_options, from_keys, given
from .progress import Bar

_MINI = next(key for key in ALL if key.name == "mini")
# No defaults: the checkpoint knows.
_KEYS = tuple(replace(key, default=None) for key in (*DATA, TEST_RANGE, _MINI))
_MULTIVIEW = Key(
    "multiview", Bool(), "average the probabilities of ten views of each image: corners and centre, and mirrored",
    default=False, aliases=("multiview-test",),
)  # fmt: skip


@click.command("test")
@CHECKPOINT
@from_keys((*_KEYS, _MULTIVIEW))
@device_options
@JSON
def command(
    checkpoint: str | None, device: DeviceOptions, as_json: bool, multiview: bool | None, **values: Any
) -> None:
    """Test a trained net on test batches, with the data it was trained on or with other data.

    \b
    convnet test --checkpoint runs/RUN
    convnet test --checkpoint runs/RUN --data PATH --test-range 6 --json
    convnet test --checkpoint runs/RUN --multiview
    """
    if checkpoint is None:
        raise click.UsageError("expected --checkpoint")
    with Bar() as bar:
        # Imported here so that --help stays quick.
        from convnet.training.testing import test_checkpoint

        options = given(values, _KEYS)
        result = test_checkpoint(
            Path(checkpoint), options, device, partial(bar.move, "testing"), multiview=bool(multiview)
        )
    for name in result.left_out:
        click.echo(f"note: the probabilities of several views tell nothing of the cost '{name}'", err=True)
    if as_json:
        click.echo(json.dumps(result.summary()))
        return
    click.echo(f"data: {result.data}")
    views = f" in {result.views} views" if multiview else ""
    click.echo(f"{result.checkpoint}: {result.words}  ({result.cases} cases{views})")
