"""Resizing against the contract's formulas in float64; random crops against words of convnet.philox."""

from __future__ import annotations

import itertools
from collections import Counter as Tally
from typing import Any

import numpy as np
import pytest

from convnet import ops
from convnet.ops.dropout import Counter
from convnet.ops.resize import crop_thresholds
from convnet.philox import philox
from convnet.shape import Maps

from .conftest import Run

SEED = 0xFEDCBA9876543210
# Shape of x (n, y, x, channel), rows and columns of y, scale. A GPU takes 8 or 16 channels in packs of 16 bytes.
CASES = {
    "smaller": ((3, 9, 7, 3), (6, 5), 1.37),
    "half": ((2, 8, 6, 16), (4, 3), 2.0),
    "larger": ((2, 5, 4, 7), (7, 5), 0.7),
    "double": ((2, 4, 5, 8), (8, 10), 0.5),
    "its own size": ((2, 5, 6, 3), (5, 6), 1.0),
    "the centre": ((2, 9, 11, 5), (3, 3), 1.1),
    "beyond the edges": ((2, 6, 5, 3), (6, 6), 1.6),
    "one pixel": ((2, 1, 1, 3), (2, 2), 0.5),
}
# Sides of the image, side of the crop, channels.
CROPS = [(9, 9, 5, 3), (8, 11, 5, 16), (13, 7, 7, 8), (6, 5, 3, 3), (4, 9, 1, 1)]
# Relative to numbers of size 1 to 4. float32: places in an image of 13 pixels are exact to 13 * 2^-24, and pixels
# differ by up to 8; bfloat16: half of it is rounding once.
TOLERANCE = {"float64": 1e-13, "float32": 2e-5, "bfloat16": 2**-8}


def shown(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, margin: float) -> np.ndarray:
    """The places rows x columns, clipped, of one image (y, x, channel)."""
    values = x.astype(np.float64)
    for axis, places in ((0, rows), (1, columns)):
        at = np.clip(np.minimum(places, values.shape[axis] - margin), 0, None)
        first = np.floor(at).astype(int)
        near = (at - first).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        second = np.minimum(first + 1, values.shape[axis] - 1)
        values = np.take(values, first, axis) * (1 - near) + np.take(values, second, axis) * near
    return values


def centred(image: int, outputs: int, scale: float) -> np.ndarray:
    """What the pixels of the output show, along one axis, of a resized image."""
    return np.arange(outputs) * scale + image / 2 - outputs / 2 * scale


def assert_near(run: Run, found: np.ndarray, expected: np.ndarray) -> None:
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=tolerance, atol=tolerance)


def check_fprop(run: Run, shape: tuple[int, ...], size: tuple[int, int], scale: float) -> None:
    x = np.random.default_rng(5).normal(size=shape).astype(run.dtype)
    y = np.full((shape[0], *size, shape[3]), np.nan, run.dtype)
    run("resize.fprop", x, y, scale=scale)
    places = [centred(image, outputs, scale) for image, outputs in zip(shape[1:3], size, strict=True)]
    assert_near(run, y, np.stack([shown(image, *places, 1.01) for image in x]))


@pytest.mark.parametrize("name", CASES)
def test_fprop(run: Run, name: str) -> None:
    check_fprop(run, *CASES[name])


def random_places(height: int, width: int, side: int, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Rows and columns that a case shows, the margin and the size, from its four words."""
    shorter = min(height, width)
    sizes = range(side, shorter + 1)
    crops = [(k * height // shorter - side + 1) * (k * width // shorter - side + 1) for k in sizes]
    # The first of the sizes at whose crops the word, as a part of 2^32, arrives.
    size = next(k for k, below in zip(sizes, itertools.accumulate(crops), strict=True)
                if int(words[0]) < below * 2**32 // sum(crops))  # fmt: skip
    uniform = (words[1:] >> 8) * 2.0**-24
    least, most = max(1.0, shorter / (size + 1)), shorter / size
    scale = least + uniform[0] * (most - least)
    places = []
    for image, draw in ((height, uniform[1]), (width, uniform[2])):
        resized = size * image // shorter
        start = int(draw * (resized - side + 1))
        places.append(centred(image, resized, scale)[start : start + side])
    return places[0], places[1], 1.0 if size == shorter else 1.01, size


def words_of(cases: int, *, seed: int, stream: int, minibatch: int, first_case: int = 0) -> np.ndarray:
    """The contract's words, (cases, 4)."""
    counter = np.zeros((cases, 4), np.uint32)
    counter[:, 1] = (first_case + np.arange(cases)) % 2**32
    counter[:, 2:] = minibatch, stream
    return philox(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32))


def arguments(**changes: Any) -> dict[str, Any]:
    return {"seed": SEED, "stream": 3, "counter": Counter(9), **changes}


def check_random_crop(
    run: Run, height: int, width: int, side: int, channels: int, cases: int, **names: int
) -> set[int]:
    """Compares the crops; gives the sizes that were drawn."""
    x = np.random.default_rng(6).normal(size=(cases, height, width, channels)).astype(run.dtype)
    y = np.full((cases, side, side, channels), np.nan, run.dtype)
    given = {**names, "counter": Counter(names["minibatch"])}
    run("resize.random_crop", x, y, **{key: value for key, value in given.items() if key != "minibatch"})
    drawn = [random_places(height, width, side, words) for words in words_of(cases, **names)]
    assert_near(run, y, np.stack([shown(image, *places[:3]) for image, places in zip(x, drawn, strict=True)]))
    return {size for *_, size in drawn}


@pytest.mark.parametrize("crop", CROPS)
def test_random_crop(run: Run, crop: tuple[int, int, int, int]) -> None:
    sizes = check_random_crop(run, *crop, 30, seed=SEED, stream=70000, minibatch=123, first_case=2)
    assert min(crop[:2]) in sizes
    assert len(sizes) >= min(3, min(crop[:2]) - crop[2] + 1)


def test_large_words(run: Run) -> None:
    check_random_crop(run, 7, 6, 4, 3, 5, seed=2**64 - 1, stream=2**32 - 1, minibatch=2**32 - 1, first_case=2**32 - 2)


def test_a_crop_of_the_image_itself_is_exact(run: Run) -> None:
    """Where the image is as large as the crop there is one crop only; others that keep their size are pixels of it."""
    x = np.random.default_rng(6).normal(size=(40, 5, 6, 3)).astype(run.dtype)
    y = np.full((40, 5, 5, 3), np.nan, run.dtype)
    run("resize.random_crop", x, y, **arguments())
    windows = [x[:, :, :5], x[:, :, 1:]]
    matches = [np.all(y == window, axis=(1, 2, 3)) for window in windows]
    assert (matches[0] ^ matches[1]).all()
    assert matches[0].any()
    assert matches[1].any()


def test_nothing_behind_an_image_is_seen(run: Run) -> None:
    """Not even with a weight of 0: infinity times 0 is no number."""
    for side in (1, 5):
        x = np.random.default_rng(6).normal(size=(3, side, side, 2)).astype(run.dtype)
        x[1:] = np.inf
        y, z = np.full_like(x, np.nan), np.full((3, 2 * side, 2 * side, 2), np.nan, run.dtype)
        run("resize.random_crop", x, y, **arguments())
        run("resize.fprop", x, z, scale=0.5)
        np.testing.assert_array_equal(y[0].astype(float), x[0].astype(float))
        assert np.isfinite(z[0].astype(float)).all()


def test_parts_of_a_minibatch_get_the_crops_of_the_whole(run: Run) -> None:
    x = np.random.default_rng(6).normal(size=(7, 9, 8, 3)).astype(run.dtype)
    whole, part = np.empty((7, 4, 4, 3), run.dtype), np.empty((3, 4, 4, 3), run.dtype)
    run("resize.random_crop", x, whole, **arguments())
    run("resize.random_crop", x[4:].copy(), part, **arguments(first_case=4))
    assert whole[4:].tobytes() == part.tobytes()


def test_the_counter_is_read_at_each_launch(run: Run) -> None:
    dev, counter = run.device, Counter(1)
    pixels = np.random.default_rng(6).normal(size=(6, 9, 8, 3)).astype(run.dtype)
    x, y = (dev.array(dev.allocate(pixels.nbytes), 0, shape, run.dtype) for shape in (pixels.shape, (6, 5, 5, 3)))
    dev.upload(pixels, x)
    launch = ops.load("resize", dev.backend).random_crop(dev, x, y, **arguments(counter=counter))
    results = []
    for minibatch in (1, 2, 1):
        counter.value = minibatch
        launch()
        results.append(dev.download(y).tobytes())
    assert results[0] == results[2] != results[1]


def test_the_same_bits_each_time(run: Run) -> None:
    x, results = np.random.default_rng(6).normal(size=(5, 9, 8, 8)).astype(run.dtype), []
    for _ in range(2):
        y, z = np.full((5, 5, 5, 8), np.nan, run.dtype), np.full((5, 7, 6, 8), np.nan, run.dtype)
        run("resize.random_crop", x, y, **arguments())
        run("resize.fprop", x, z, scale=1.3)
        results.append((y.tobytes(), z.tobytes()))
    assert results[0] == results[1]


@pytest.mark.gpu
def test_more_rows_than_blocks_and_more_columns_than_threads(cuda_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 2)
    run = Run(cuda_device("fp32"), np.float32, "fp32")
    check_fprop(run, (2, 4, 60, 3), (3, 90), 0.6)
    check_random_crop(run, 8, 9, 3, 1, 300, seed=SEED, stream=7, minibatch=1)


@pytest.mark.parametrize(("image", "side"), [(Maps(3, 9, 9), 5), (Maps(3, 6, 10), 3), (Maps(3, 256, 200), 120)])
def test_thresholds_are_the_shares_of_the_crops(image: Maps, side: int) -> None:
    thresholds = crop_thresholds(image, side).astype(np.float64)
    shorter = min(image.y, image.x)
    shares = np.diff(thresholds, prepend=0) / 2**32
    expected = np.array([
        (image.y * k // shorter - side + 1) * (image.x * k // shorter - side + 1) for k in range(side, shorter + 1)
    ])  # fmt: skip
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-9)


def test_how_often_sizes_are_drawn() -> None:
    """Of 9 pixels cropped to 7 there are 1 crop of 7, 4 of 8 and 9 of 9."""
    words = words_of(4000, seed=SEED, stream=3, minibatch=9)
    sizes = Tally(random_places(9, 9, 7, word)[3] for word in words)
    for size, share in ((7, 1 / 14), (8, 4 / 14), (9, 9 / 14)):
        assert abs(sizes[size] / 4000 - share) < 4 * np.sqrt(share * (1 - share) / 4000)


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5, 4, 2), run.dtype)
    for y in (np.zeros((2, 3, 3, 2), run.dtype), np.zeros((3, 3, 3, 1), run.dtype), np.zeros((3, 18), run.dtype)):
        with pytest.raises(ValueError, match="resize: expected images of as many cases and channels"):
            run("resize.fprop", x, y, scale=1.2)
        with pytest.raises(ValueError, match="resize: expected images of as many cases and channels"):
            run("resize.random_crop", x, y, **arguments())
    for side in ((3, 2), (5, 5)):
        with pytest.raises(ValueError, match="resize: expected square crops"):
            run("resize.random_crop", x, np.zeros((3, *side, 2), run.dtype), **arguments())
