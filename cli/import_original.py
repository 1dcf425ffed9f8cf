"""`convnet import-original`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command("import-original")
@click.argument("original", type=click.Path())
@click.argument("run", type=click.Path())
def command(original: str, run: str) -> None:
    """Make a checkpoint of cuda-convnet or cuda-convnet2 a run of convnet.

    ORIGINAL is a file such as 12.5, or a folder with such files, of which the newest is taken; RUN is the folder to be
    made. It has the net's two files, its weights and increments, how far training is, and the options that have a
    counterpart. Nothing in ORIGINAL is executed.

    \b
    convnet import-original ConvNet__2012-07-11_12.34.56 runs/cifar
    convnet test --checkpoint runs/cifar --data cifar-10-py-colmajor
    """
    # Imported here so that --help stays quick.
    from convnet.training.original_import import import_original, save_import

    imported = import_original(Path(original))
    saved = save_import(imported, Path(run))
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    found, state = imported.original, imported.checkpoint.state
    click.echo(
        f"{found.file}: cuda-convnet{'2' if found.version == 2 else ''}, epoch {found.epoch}, batch {found.batchnum}, "
        f"{len(found.layers)} layers, {imported.graph.size:,} parameters, {len(state.test_history)} tests"
    )
    click.echo(f"saved {saved}")
    click.echo(f"test it: convnet test --checkpoint {shlex.quote(run)} --data PATH")
