"""Changes of memory order against NumPy's transposition, over sizes that do not fill a tile."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.layout import cpu
from convnet.shape import Maps

CASES = 3
# Every pair holds the same number of features.
PAIRS = {
    "to features": (Maps(19, 7, 5), None),
    "to maps": (None, Maps(19, 7, 5)),
    "few channels": (None, Maps(3, 37, 11)),
    "many channels": (Maps(70, 3, 1), None),
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


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_convert(dev: CpuDevice, pair: str, accumulate: bool, dtype: str) -> None:
    src_maps, dst_maps = PAIRS[pair]
    size = next((maps.features for maps in (src_maps, dst_maps) if maps), 131)
    features, before = np.random.default_rng(9).normal(size=(2, CASES, size)).astype(dtype)
    src = in_memory(features, src_maps)
    dst = in_memory(before, dst_maps) if accumulate else in_memory(np.full_like(before, np.nan), dst_maps)
    cpu.convert(dev, src, src_maps, dst, dst_maps, accumulate=accumulate)()
    np.testing.assert_array_equal(dst, in_memory(features + before if accumulate else features, dst_maps))
    np.testing.assert_array_equal(src, in_memory(features, src_maps))


def test_feature_order_is_channel_then_y_then_x(dev: CpuDevice) -> None:
    maps = np.empty((1, 2, 3, 2))
    for y, x, channel in np.ndindex(2, 3, 2):
        maps[0, y, x, channel] = channel * 6 + y * 3 + x
    features = np.empty((1, 12))
    cpu.convert(dev, maps, Maps(2, 2, 3), features, None, accumulate=False)()
    assert features[0].tolist() == list(range(12))


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    maps, features = np.zeros((3, 4, 5, 2)), np.zeros((3, 40))
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
            cpu.convert(dev, *arguments, accumulate=False)
