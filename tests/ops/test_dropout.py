"""Dropout's masks against those computed with convnet.philox from the contract's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet import ops
from convnet.backends.cpu.device import Array, CpuDevice
from convnet.ops.dropout import Counter, cpu
from convnet.philox import philox

from .conftest import Run

SEED = 0xFEDCBA9876543210
SHAPES = [(5, 131), (3, 5, 7, 11), (4, 1), (2, 256), (1, 3), (3, 4, 6), (2, 12)]
TOLERANCE = {"float64": 1e-15, "float32": 1e-6, "bfloat16": 2**-8}


def uniforms(shape: tuple[int, ...], *, seed: int, stream: int, minibatch: int, first_case: int = 0) -> Array:
    """The contract's uniform numbers, (n, features)."""
    cases, features = shape[0], int(np.prod(shape[1:]))
    counter = np.zeros((cases, features, 4), np.uint32)
    counter[..., 0] = np.arange(features) // 4
    counter[..., 1] = first_case + np.arange(cases)[:, None]
    counter[..., 2:] = minibatch, stream
    words = philox(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32))
    own = np.take_along_axis(words, (np.arange(features) % 4)[None, :, None].repeat(cases, 0), 2)[..., 0]
    return (own >> 8) * 2.0**-24


def arguments(**changes: Any) -> dict[str, Any]:
    usual = {"keep": 0.5, "scale": 1.0, "seed": SEED, "stream": 3, "counter": Counter(9), "accumulate": False}
    return {**usual, **changes}


def mask(run: Run, shape: tuple[int, ...], **changes: Any) -> Array:
    """What dropout makes of ones."""
    y = np.full(shape, np.nan, run.dtype)
    run("dropout.apply", np.ones(shape, run.dtype), y, **arguments(**changes))
    return y.astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_apply(run: Run, shape: tuple[int, ...], accumulate: bool, in_place: bool) -> None:
    generator = np.random.default_rng(11)
    x = generator.normal(size=shape).astype(run.dtype)
    before = x.copy() if in_place else generator.normal(size=shape).astype(run.dtype)
    y = x if in_place else before.copy()
    kept = uniforms(shape, seed=SEED, stream=70000, minibatch=123, first_case=2).reshape(shape) < 0.3
    expected = x.astype(np.float64) * kept * 2.5 + before.astype(np.float64) * accumulate
    run("dropout.apply", x, y, **arguments(
        keep=0.3, scale=2.5, stream=70000, counter=Counter(123), first_case=2, accumulate=accumulate))  # fmt: skip
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 1e-6))


def test_large_words(run: Run) -> None:
    y = mask(run, (2, 999), seed=2**64 - 1, stream=2**32 - 1, counter=Counter(2**32 - 1), first_case=2**32 - 2)
    expected = uniforms(y.shape, seed=2**64 - 1, stream=2**32 - 1, minibatch=2**32 - 1, first_case=2**32 - 2) < 0.5
    assert np.array_equal(y, expected)


@pytest.mark.parametrize(("keep", "kept"), [(0.0, False), (1.0, True)])
def test_keep_none_or_all(run: Run, keep: float, kept: bool) -> None:
    assert (mask(run, (7, 1001), keep=keep) == kept).all()


def test_a_feature_stays_when_its_uniform_is_less_than_keep(run: Run) -> None:
    shape = (3, 50)
    drawn = uniforms(shape, seed=SEED, stream=3, minibatch=9)
    for at in [(0, 0), (2, 49), (1, 17)]:
        keep = float(drawn[at])
        assert mask(run, shape, keep=keep)[at] == 0
        assert mask(run, shape, keep=keep + 2.0**-30)[at] == 1


def test_share_of_features_that_stay(run: Run) -> None:
    features, keep = 100_000, 0.3
    stay = mask(run, (2, features), keep=keep)
    assert abs(stay.mean() - keep) < 4 * np.sqrt(keep * (1 - keep) / stay.size)
    agreement, by_chance = (stay[0] == stay[1]).mean(), keep**2 + (1 - keep) ** 2
    assert abs(agreement - by_chance) < 4 * np.sqrt(by_chance * (1 - by_chance) / features)


def test_the_counter_is_read_at_each_launch(run: Run) -> None:
    counter, dev, ones = Counter(1), run.device, np.ones((2, 300), run.dtype)
    x, y = (dev.array(dev.allocate(ones.nbytes), 0, ones.shape, ones.dtype) for _ in range(2))
    dev.upload(ones, x)
    launch = ops.load("dropout", dev.backend).apply(dev, x, y, **arguments(counter=counter))
    for minibatch in (1, 2, 1):
        counter.value = minibatch
        launch()
        assert np.array_equal(dev.download(y), uniforms((2, 300), seed=SEED, stream=3, minibatch=minibatch) < 0.5)


def test_parts_of_a_minibatch_get_the_masks_of_the_whole(run: Run) -> None:
    whole = mask(run, (5, 77))
    assert np.array_equal(whole[3:], mask(run, (2, 77), first_case=3))


def test_nan_stays_visible(run: Run) -> None:
    y = np.full((2, 100), np.nan, run.dtype)
    run("dropout.apply", y, y, **arguments())
    assert np.isnan(y).all()


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers_of_the_kernel(counter: str, key: str, answer: str) -> None:
    """Random123, tests/kat_vectors, "philox4x32 10"."""
    arguments = [np.uint64(int(word, 16)) for word in f"{counter} {key}".split()]
    assert [f"{word:08x}" for word in cpu.philox(*arguments)] == answer.split()


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5), run.dtype)
    with pytest.raises(ValueError, match=r"x of shape \(3, 5\), y of shape \(3, 4\)"):
        run("dropout.apply", x, x[:, :4], **arguments())


def test_arrays_that_are_no_rows() -> None:
    maps = np.zeros((3, 5, 4, 2), np.float32).transpose(0, 1, 3, 2)
    with pytest.raises(ValueError, match="copy"):  # the result would go to the copy
        cpu.apply(CpuDevice(threads=2), maps, maps, **arguments())
