"""`convnet data make`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .progress import Bar

if TYPE_CHECKING:
    from convnet.data.making import Made

_FORMS = ("batches", "ilsvrc2012", "csv", "folders")
_IMAGENET_CLASSES = 1000  # which alexnet tells apart as it is written
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("make")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option("--form", type=click.Choice(_FORMS), help="What SRC is.  [default: as it looks]")
@click.option("--size", default=256, show_default=True, help="Pixels of the short side of the stored images.")
@click.option("--square", is_flag=True, help="Cut images to the square in their middle.")
@click.option("--quality", default=90, show_default=True, help="Of the JPEGs, 1 to 100.")
@click.option("--batch-size", default=3072, show_default=True, help="Cases in one data batch.")
@click.option(
    "--test-share", type=float,
    help="The part of each class that is tested on, where SRC has no test set.  [default: a sixth]",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of the order of the cases.")
@click.option("--workers", type=int, help="Threads, 1 to 1024.  [default: all cores]")
@click.option(
    "--max-bad", default=100, show_default=True,
    help="How many images may be left out because they cannot be read, or are cut off, be it by their last bytes; one "
    "more ends the command.",
)  # fmt: skip
@click.option("--train-tar", type=_FILE, help="For ilsvrc2012, where it is not SRC/ILSVRC2012_img_train.tar.")
@click.option("--val-tar", type=_FILE, help="For ilsvrc2012, where it is not SRC/ILSVRC2012_img_val.tar.")
@click.option(
    "--ground-truth", type=_FILE,
    help="For ilsvrc2012: a line for each validation image, with ILSVRC's number of its class or its synset; or the "
    "development kit.",
)  # fmt: skip
@click.option(
    "--synsets", type=_FILE,
    help="For ilsvrc2012: the development kit, its meta.mat, or a text of lines such as 'n01440764 tench, Tinca "
    "tinca' in the order of ILSVRC's numbers; the order is that of the labels.",
)  # fmt: skip
def command(source: Path, target: Path, **values: Any) -> None:
    """Make data batches of the photographs SRC, in the folder DST.

    \b
    SRC is one of
      folders     a folder or a tar or zip archive: train/<class>/ and
                  test/<class>/, or <class>/
      csv         a CSV file of path,label or path,label,train|test; paths are
                  relative to it and may lead anywhere; labels are names, or
                  numbers from 0, several with spaces between them; lines of
                  one path add up; the first line may be a heading
      ilsvrc2012  a folder with ILSVRC2012_img_train.tar,
                  ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz; in
                  place of the last, meta.mat or synsets.txt, and
                  ILSVRC2012_validation_ground_truth.txt
      batches     data batches of this command, or of cuda-convnet2

    \b
    convnet data make photographs/ batches/
    convnet train --layers alexnet --data batches/

    Ctrl-C, or anything else that ends the command, loses little: the same command goes on. Until all is done DST takes
    twice the room. Images that cannot be read are left out and named in DST/bad-images.txt. A compressed tar archive
    is read whole, images that are in no folder of a class included; only then are its folders checked.
    """
    with Bar() as bar:
        try:
            made = _make(source, target, values, bar)
        except KeyboardInterrupt:
            bar.say("stopped: the same command goes on", err=True)
            click.get_current_context().exit(130)
    _say(made)


def _make(source: Path, target: Path, values: dict[str, Any], bar: Bar) -> Made:
    """Do what the options say."""
    # Imported here so that --help stays quick.
    from convnet.data.making import IlsvrcFiles, MakeOptions, SourceOptions, make, open_source

    bar.move("listing images", 0, None)
    files = IlsvrcFiles(*(values.pop(name) for name in ("train_tar", "val_tar", "ground_truth", "synsets")))
    options = SourceOptions(values.pop("form"), values.pop("test_share"), files)
    return make(open_source(source, options), target, MakeOptions(**values), bar.move)


def _say(made: Made) -> None:
    """What was written, and what can be done next."""
    for sizes, what in ((made.train, "to train on"), (made.test, "to test on")):
        batches = f"{len(sizes)} data batch{'es' if len(sizes) != 1 else ''}"
        click.echo(f"{sum(sizes)} images {what} in {batches}")
    click.echo(f"{made.classes} classes")
    if made.empty:
        click.echo(f"{made.empty} of {made.classes} classes have no image")
    if made.report is not None:
        click.echo(f"{made.bad} image{'s' if made.bad != 1 else ''} left out, named in {made.report}")
    if not made.test:
        click.echo("no image to test on: --test-range names data batches to test on, --train-range those to train on")
    if made.train:
        classes = "" if made.classes == _IMAGENET_CLASSES else f" --classes {made.classes}"
        data = f"--data {shlex.quote(str(made.folder))}{_ranges(made)}"
        click.echo(f"train on them: convnet train --layers alexnet{classes} {data}")


def _ranges(made: Made) -> str:
    """The options that let the last training batch be tested on where there are no others."""
    last = len(made.train)
    if made.test:
        return ""
    return f" --train-range 1-{last - 1} --test-range {last}" if last > 1 else " --test-range 1"
