"""Feeding photographs beside torch.utils.data with Pillow, and beside libjpeg-turbo alone, in one interleaved run.

    python benchmarks/feeding.py [--images 3072] [--workers 1] [--json FILE]

All read the same JPEGs, whose short side is 256 pixels, from one file, and give minibatches of 224x224 pixels.
PyTorch's way is torchvision's usual transform for training, written out: a random part of the image scaled to 224x224,
mirrored at random, as a float tensor, normalized; and, as a second peer, the same with the plain random crop that
convnet makes. "simplejpeg" decodes the whole images, which are in memory already, and does nothing else, in as many
threads as there are worker processes. Figures are images per second for each worker, medians of the repeats; ratios are
convnet's speed divided by the other's: above 1, convnet is faster.
"""

from __future__ import annotations

import io
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import PIL
import simplejpeg
import torch
from cpu import machine
from PIL import Image, ImageOps

from convnet.data.image_batches import ImageProvider
from convnet.data.image_source import Records
from convnet.data.provider import ProviderOptions
from convnet.data.sample_photographs import PHOTOGRAPHS, load

SHORT, LONG, CROP, QUALITY = 256, 341, 224, 90
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALE, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10  # torchvision's

Speeds = dict[str, float]


class Photographs:
    """JPEGs in one file: parts of the photographs that come with scikit-image and scikit-learn. An ImageSource."""

    name, description, label_names = "photographs", "photographs", ["photograph"]
    train_batches, test_batches, several_labels, alike, colour_axes = [1], list[int](), False, False, None
    side, mean = SHORT, np.zeros((SHORT, SHORT, 3), np.float32)

    def __init__(self, path: Path, count: int) -> None:
        """Write them: random parts, scaled to 341x256, every other one to 256x341."""
        self.path, self.count = path, count
        drawn, images = random.Random(0), [load(photograph) for photograph in PHOTOGRAPHS]
        contents = [_jpeg(drawn, images[case % len(images)], case % 2) for case in range(count)]
        self.sizes = np.array([len(content) for content in contents])
        self.offsets = np.cumsum(self.sizes) - self.sizes
        path.write_bytes(b"".join(contents))

    def cases(self, batchnum: int) -> int:
        """The number of images."""
        return self.count

    def records(self, batchnum: int) -> Records:
        """Where they lie."""
        return Records([self.path], np.zeros(self.count, np.int64), self.offsets, self.sizes, [(0,)] * self.count)


def _jpeg(drawn: random.Random, image: Image.Image, upright: int) -> bytes:
    share = drawn.uniform(0.6, 1)
    width, height = round(image.width * share), round(image.height * share)
    left, top = drawn.randint(0, image.width - width), drawn.randint(0, image.height - height)
    size = (SHORT, LONG) if upright else (LONG, SHORT)
    part = ImageOps.fit(image.crop((left, top, left + width, top + height)), size, Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    part.save(stream, "jpeg", quality=QUALITY)
    return stream.getvalue()


def resized_crop(image: Image.Image) -> Image.Image:
    """torchvision's RandomResizedCrop."""
    area = image.width * image.height
    for _ in range(TRIES):
        part, ratio = area * random.uniform(*SCALE), math.exp(random.uniform(*map(math.log, RATIO)))
        width, height = round(math.sqrt(part * ratio)), round(math.sqrt(part / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left, top = random.randint(0, image.width - width), random.randint(0, image.height - height)
            window = image.crop((left, top, left + width, top + height))
            return window.resize((CROP, CROP), Image.Resampling.BILINEAR)
    return ImageOps.fit(image, (CROP, CROP), Image.Resampling.BILINEAR)


def plain_crop(image: Image.Image) -> Image.Image:
    """A random window of 224x224 pixels."""
    left, top = random.randint(0, image.width - CROP), random.randint(0, image.height - CROP)
    return image.crop((left, top, left + CROP, top + CROP))


class Peer(torch.utils.data.Dataset[Any]):
    """The same images as PyTorch's users read them."""

    def __init__(self, stored: Photographs, crop: Callable[[Image.Image], Image.Image]) -> None:
        self.stored, self.crop = stored, crop
        self.mean, self.deviation = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, DEVIATION))

    def __len__(self) -> int:
        return self.stored.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with self.stored.path.open("rb") as file:
            file.seek(int(self.stored.offsets[index]))
            content = file.read(int(self.stored.sizes[index]))
        image = self.crop(Image.open(io.BytesIO(content)).convert("RGB"))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return values.to(torch.float32).div(255).sub_(self.mean).div_(self.deviation), 0


def decode_all(threads: ThreadPoolExecutor, contents: Sequence[bytes], workers: int) -> None:
    """simplejpeg alone, each thread with a buffer of its own."""

    def decode(part: Sequence[bytes]) -> None:
        buffer = np.empty(SHORT * LONG * 3, np.uint8)
        for content in part:
            simplejpeg.decode_jpeg(content, buffer=buffer)

    for _ in threads.map(decode, [contents[index::workers] for index in range(workers)]):
        pass


def used_up(batches: Callable[[], Any]) -> None:
    """Go through all minibatches."""
    for _ in batches():
        pass


def measure(ways: dict[str, Callable[[], None]], images: int, workers: int, repeats: int) -> Speeds:
    """Images per second for each worker, medians, all ways in turn, after one warm-up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if repeat:
                found[name].append(images / (time.perf_counter() - began) / workers)
    return {name: statistics.median(speeds) for name, speeds in found.items()}


def compare(stored: Photographs, workers: int, mini: int, repeats: int) -> dict[str, Any]:
    """The speeds of all ways, and convnet's divided by them."""
    provider = ImageProvider(stored, ProviderOptions(crop=CROP, workers=workers))
    content = stored.path.read_bytes()
    contents = [content[start : start + size] for start, size in zip(stored.offsets, stored.sizes, strict=True)]
    ways: dict[str, Callable[[], None]] = {}
    ways["convnet"] = partial(used_up, partial(provider.open_batch, 1, 1, mini, train=True))
    for name, crop in (("torch, RandomResizedCrop", resized_crop), ("torch, plain crop", plain_crop)):
        loader = torch.utils.data.DataLoader(
            Peer(stored, crop), mini, shuffle=False, num_workers=workers, persistent_workers=True
        )
        ways[name] = partial(used_up, partial(iter, loader))
    with ThreadPoolExecutor(workers) as threads:
        ways["simplejpeg"] = partial(decode_all, threads, contents, workers)
        speeds = measure(ways, stored.count, workers, repeats)
    provider.close()
    ratios = {name: speeds["convnet"] / speed for name, speed in speeds.items() if name != "convnet"}
    return {"workers": workers, "mini": mini, "images": stored.count, "images_per_second": speeds, "ratios": ratios}


@click.command()
@click.option("--images", default=3072, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes, of PyTorch too.")
@click.option("--mini", default=128, show_default=True)
@click.option("--repeats", default=7, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(images: int, workers: int, mini: int, repeats: int, path: Path | None) -> None:
    """Compare ways to feed photographs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = compare(Photographs(Path(folder, "photographs"), images), workers, mini, repeats)
    for name, speed in result["images_per_second"].items():
        ratio = f"; convnet / this {result['ratios'][name]:.2f}" if name in result["ratios"] else ""
        click.echo(f"{name:26} {speed:7.0f} images per second and worker{ratio}")
    if path:
        versions = {"pillow": PIL.__version__, "simplejpeg": simplejpeg.__version__}
        described = {**machine(workers), **versions, "results": [result]}
        path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
