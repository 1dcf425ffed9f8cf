"""Writes a tree of folders shaped like ImageNet's, of JPEGs of 500x375 pixels: real photographs to try `data make` on.

    python benchmarks/photograph_tree.py photographs [--train 3200] [--test 400]

The classes are the eight photographs that come with scikit-image and scikit-learn. Each image is another part of one of
them, between half and nine tenths of what fits, scaled to 500x375 pixels or every third time to 375x500. Those in val/
come from the right third of each photograph, which no image in train/ touches.
"""

from __future__ import annotations

import random
from pathlib import Path

import click
from PIL import Image

from convnet.data.sample_photographs import PHOTOGRAPHS, load, split_photograph

WIDE, HIGH = (500, 375), (375, 500)
SHARES = (0.5, 0.9)  # of the largest part of that form
QUALITY = 92


def part(source: Image.Image, size: tuple[int, int], drawn: random.Random) -> Image.Image:
    """A part of a photograph, of random size and place, scaled to `size` (x, y)."""
    scale = drawn.uniform(*SHARES) * min(source.width / size[0], source.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = drawn.uniform(0, source.width - width), drawn.uniform(0, source.height - height)
    return source.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def write(folder: Path, sources: list[Image.Image], count: int, drawn: random.Random) -> None:
    """`count` images, as many of each photograph, in a folder for each."""
    for photograph in PHOTOGRAPHS:
        (folder / photograph.name).mkdir(parents=True)
    for case in range(count):
        label = case % len(sources)
        image = part(sources[label], HIGH if case // len(sources) % 3 == 0 else WIDE, drawn)
        image.save(folder / PHOTOGRAPHS[label].name / f"{case:06}.JPEG", quality=QUALITY)


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--train", default=3200, show_default=True)
@click.option("--test", default=400, show_default=True)
def main(target: Path, train: int, test: int) -> None:
    """Write the tree into a new folder."""
    parts = [split_photograph(load(photograph)) for photograph in PHOTOGRAPHS]
    drawn = random.Random(0)
    write(target / "train", [pair[0] for pair in parts], train, drawn)
    write(target / "val", [pair[1] for pair in parts], test, drawn)
    click.echo(f"{train} images in {target / 'train'}, {test} in {target / 'val'}")


if __name__ == "__main__":
    main()
