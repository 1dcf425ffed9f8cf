"""`convnet train`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from convnet.backends import DeviceOptions
from convnet.training.options import ALL

from .options import CHECKPOINT, LAYERS, PARAMS, device_options, from_keys, given
from .originals import notes, originals_options
from .progress import Reporter


@click.command("train")
@LAYERS
@PARAMS
@CHECKPOINT
@click.option("--save-path", type=click.Path(), help="Where each new run gets a folder.  [default: runs]")
@click.option(
    "--conv-to-local",
    metavar="LAYER,...",
    help="With --checkpoint: conv layers that become local ones, whose windows begin with the same filters.",
)
@click.option(
    "--unshare-weights",
    metavar="LAYER[INDEX],...",
    help="With --checkpoint: layers, or single matrices of them, that get copies of the weights they share.",
)
@from_keys(ALL)
@device_options
@originals_options
def command(
    layers: str | None, params: str | None, checkpoint: str | None, save_path: str | None, conv_to_local: str | None,
    unshare_weights: str | None, device: DeviceOptions, **values: Any,
) -> None:  # fmt: skip
    """Train a net from its two files, or go on with a run.

    \b
    convnet train --layers alexnet
    convnet train --layers layers-cfg/cifar-quick.cfg --data PATH --epochs 10
    convnet train --checkpoint runs/RUN      # goes on exactly where it stopped

    Options may also stand in the [train] section of the parameter file; the command line wins. Ctrl-C saves a
    checkpoint and ends.
    """
    for note in notes(values):
        click.echo(f"note: {note}", err=True)
    if (layers is None) == (checkpoint is None):
        raise click.UsageError("expected either --layers or --checkpoint")
    if checkpoint is None and (conv_to_local, unshare_weights) != (None, None):
        raise click.UsageError("--conv-to-local and --unshare-weights change the net of a --checkpoint, found none")
    reporter = Reporter()
    with reporter:
        # Imported here so that --help stays quick.
        from convnet.training.runs import continued_run, new_run
        from convnet.training.surgery import Surgery

        options, folder = given(values, ALL), None if save_path is None else Path(save_path)
        if checkpoint is not None:
            surgery = Surgery.parse(conv_to_local, unshare_weights)
            trainer = continued_run(Path(checkpoint), params, options, device, surgery, folder)
        else:
            trainer = new_run(str(layers), params, options, folder or Path("runs"), device)

        def stop(_signal: int, _frame: object) -> None:
            reporter.say("stopping after this minibatch (Ctrl-C again: at once)")
            trainer.stop = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = signal.signal(signal.SIGINT, stop)
        try:
            reporter.header(trainer, continued=checkpoint is not None)
            for event in trainer.run_training():
                reporter.show(event)
        finally:
            signal.signal(signal.SIGINT, before)
    reporter.footer(trainer)
