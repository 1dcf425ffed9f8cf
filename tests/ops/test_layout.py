"""Changes of memory order against NumPy's transposition, over sizes that do not fill a tile."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from convnet.shape import Maps

from .conftest import Run

CASES = 3
# Every pair holds the same number of features.
PAIRS = {
    "to features": (Maps(19, 7, 5), None),
    "to maps": (None, Maps(19, 7, 5)),
    "few channels": (None, Maps(3, 37, 11)),
    "many channels": (Maps(70, 3, 1), None),
    "many tiles to features": (Maps(130, 9, 15), None),
    "many tiles to maps": (None, Maps(130, 9, 15)),
    "few channels of large maps": (Maps(3, 50, 61), None),
    "large maps of few channels": (None, Maps(3, 50, 61)),
    "other maps": (Maps(6, 5, 4), Maps(8, 3, 5)),
    "turned maps": (Maps(7, 5, 3), Maps(7, 3, 5)),
    "the same maps": (Maps(7, 5, 3), Maps(7, 5, 3)),
    "one channel": (Maps(1, 7, 9), Maps(9, 7, 1)),
    "one pixel": (Maps(63, 1, 1), Maps(9, 7, 1)),
    "to one pixel": (Maps(9, 7, 1), Maps(63, 1, 1)),
    "one channel to one pixel": (Maps(1, 8, 9), Maps(72, 1, 1)),
    "features to features": (None, None),
}


def in_memory(features: np.ndarray, maps: Maps | None) -> np.ndarray:
    """Features (n, f) in feature order, as they lie in memory."""
    if maps is None:
        return features.copy()
    return features.reshape(-1, *maps).transpose(0, 2, 3, 1).copy()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("accumulate", [False, True])
def test_convert(run: Run, pair: str, accumulate: bool) -> None:
    src_maps, dst_maps = PAIRS[pair]
    size = next((maps.features for maps in (src_maps, dst_maps) if maps), 131)
    features, before = np.random.default_rng(9).normal(size=(2, CASES, size)).astype(run.dtype)
    src = in_memory(features, src_maps)
    dst = in_memory(before, dst_maps) if accumulate else in_memory(np.full_like(before, np.nan), dst_maps)
    run("layout.convert", src, src_maps, dst, dst_maps, accumulate=accumulate)
    np.testing.assert_array_equal(dst, in_memory(features + before if accumulate else features, dst_maps))
    np.testing.assert_array_equal(src, in_memory(features, src_maps))


@pytest.mark.gpu
def test_tiles_fit_into_shared_memory(cuda_device: Any) -> None:
    cuda_device("fp32")
    from convnet.ops.layout.cuda import _ROOM, _tile

    for rows, columns in itertools.product([*range(1, 140), 1000, 4159, 4160, 50176], repeat=2):
        height, width = _tile(rows, columns)
        assert 0 < height <= rows
        assert 0 < width <= columns
        assert height * (width | 1) <= _ROOM
        assert height * width > _ROOM // 3 or (height, width) == (rows, columns)


def test_feature_order_is_channel_then_y_then_x(run: Run) -> None:
    maps = np.empty((1, 2, 3, 2), run.dtype)
    for y, x, channel in np.ndindex(2, 3, 2):
        maps[0, y, x, channel] = channel * 6 + y * 3 + x
    features = np.empty((1, 12), run.dtype)
    run("layout.convert", maps, Maps(2, 2, 3), features, None, accumulate=False)
    assert features[0].tolist() == list(range(12))


def test_arrays_that_do_not_fit(run: Run) -> None:
    maps, features = np.zeros((3, 4, 5, 2), run.dtype), np.zeros((3, 40), run.dtype)
    wrong = [
        (maps, Maps(2, 5, 4), features, None),
        (maps, Maps(2, 4, 5), features[1:], None),
        (maps, Maps(2, 4, 5), features[:, 1:], None),
        (features, None, maps, Maps(4, 2, 5)),
        (features[:, 1:], None, maps, Maps(2, 4, 5)),
        (maps, None, features, None),
        (maps, Maps(2, 4, 5), maps[1:], Maps(2, 4, 5)),
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"layout: .* do not fit"):
            run("layout.convert", *arguments, accumulate=False)
