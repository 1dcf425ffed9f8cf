"""The order of features in memory: from one to another.

Feature maps lie as (y, x, channel), plain features in feature order: channel slowest, then y, then x. Either array may
hold maps or plain features (maps = None), and the same features may be read as other maps on the other side: feature
number f is feature number f.

    convert(dev, src, src_maps, dst, dst_maps, *, accumulate)         dst (+)= src

src: (n, y, x, channel) of src_maps, or (n, feature). dst: likewise of dst_maps, with as many features.
"""

from __future__ import annotations

from typing import Any

from convnet.shape import Maps


def check_convert(src: Any, src_maps: Maps | None, dst: Any, dst_maps: Maps | None) -> tuple[int, int]:
    """The cases and the features of each. ValueError unless the arrays, of any backend, are what the maps say."""
    cases, features = len(dst), dst_maps.features if dst_maps else dst.shape[-1]
    for array, maps in ((src, src_maps), (dst, dst_maps)):
        expected = (cases, maps.y, maps.x, maps.channels) if maps else (cases, features)
        if array.shape != expected or array.size != cases * features:
            raise ValueError(f"layout: {src.shape} as {src_maps} and {dst.shape} as {dst_maps} do not fit")
    return cases, features


def channels_in_turn(maps: Maps | None) -> int:
    """The channels of maps; 1 for everything that lies in feature order, as maps of one channel do."""
    return maps.channels if maps and maps.pixels > 1 else 1
