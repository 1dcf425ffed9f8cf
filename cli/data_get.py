"""`convnet data get`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .progress import Bar

if TYPE_CHECKING:
    from convnet.data.published import PublishedSet


@click.command("get")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--to", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Where to.  [default: data/NAME]")
@click.option(
    "--from", "base", metavar="URL", default="",
    help="Fetch the files from below this http(s) address, not from their publishers.",
)  # fmt: skip
def command(name: str | None, folder: Path | None, base: str) -> None:
    """Download a published data set: cifar10, cifar100, mnist or fashion-mnist; without a NAME, list them.

    Every file is checked against its published size and SHA-256. A file that is there already and right is not fetched
    again, and one that is there and wrong is left alone. A download that was cut off goes on where it ended when the
    same command is given again. Nothing is unpacked: --data takes the files as they are. Proxies are taken from the
    environment (https_proxy, http_proxy).

    \b
    convnet data get mnist
    convnet train --layers lenet5 --data data/mnist
    """
    # Imported here so that --help stays quick.
    from convnet.data.published import PUBLISHED

    if name is None:
        _list(PUBLISHED)
        return
    if name not in PUBLISHED:
        raise click.UsageError(f"expected one of {', '.join(PUBLISHED)}; found '{name}'")
    published, folder = PUBLISHED[name], folder or Path("data", name)
    _get(published, folder, base)
    words = [*published.options, "--data", str(published.data_path(folder))]
    click.echo(f"train on it: convnet train {shlex.join(words)}")


def _list(published: dict[str, PublishedSet]) -> None:
    for name, one in published.items():
        click.echo(f"{name:15}{one.doc} ({one.size / 1e6:.0f} MB)\n{'':15}{one.page}")


def _get(published: PublishedSet, folder: Path, base: str) -> None:
    """Fetch what is missing and say of each file what became of it."""
    from convnet.data.download import Watcher
    from convnet.data.published import get_published

    with Bar() as bar:
        watcher = Watcher(
            lambda name, done, total: bar.move(f"{name}, kB", done // 1000, total // 1000),
            lambda line: bar.say(line, err=True),
        )
        try:
            fetched = {file.name for file in get_published(published, folder, watcher, base=base)}
        except KeyboardInterrupt:
            bar.say("stopped; the same command goes on from here", err=True)
            raise
    for file in published.files:
        how = "fetched and right" if file.name in fetched else "there already, and right"
        click.echo(f"{folder / file.name}: {how}, {file.size:,} bytes")
