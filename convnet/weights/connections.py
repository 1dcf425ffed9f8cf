"""Random sparse connectivity: which channels the groups of filters see."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from convnet.config.kinds import Call
from convnet.philox import philox
from convnet.weights.initial import Array, call_function


def drawn(seed: int, layer: str, index: int, groups: int, channels: int, filter_channels: int) -> Array:
    """Random permutations of the channels one after the other, cut into groups: (groups, filter_channels) int32.

    They depend on the arguments alone. A permutation is the order of 64-bit numbers, one for each channel: the first
    two words of Philox with the counter (channel, number of the permutation, input, crc32 of the layer's name + " C").
    """
    times = groups * filter_channels // channels
    counter = np.zeros((times, channels, 4), np.uint32)
    counter[..., 0], counter[..., 1] = np.arange(channels), np.arange(times)[:, None]
    counter[..., 2], counter[..., 3] = index, zlib.crc32(f"{layer} C".encode())
    words = philox(counter, np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint32)).astype(np.uint64)
    order = np.argsort(words[..., 0] << np.uint64(32) | words[..., 1], axis=1, kind="stable")
    return order.reshape(groups, filter_channels).astype(np.int32)


def from_init_function(call: Call, layer: str, index: int, groups: int, channels: int, filter_channels: int) -> Array:
    """The connections that the function of a key initCFunc gives: (groups, filter_channels) int32.

    Raises:
        ValueError: there is no such function, it fails, or what it gives does not do; the message names neither layer
            nor key.
    """
    found = call_function(call, layer, index, (groups, channels, filter_channels))
    if isinstance(found, (list, tuple)):
        found = _array(found)
    if not isinstance(found, np.ndarray):
        raise ValueError(f"expected a list or a NumPy array of integers, found {type(found).__name__}")
    return checked_connections(found, groups, channels, filter_channels)


def _array(found: list[Any] | tuple[Any, ...]) -> Array:
    try:
        return np.array(found)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"expected a list of integers: {error}") from error


def checked_connections(found: Array, groups: int, channels: int, filter_channels: int) -> Array:
    """The connections as (groups, filter_channels) int32.

    Raises:
        ValueError: unless they are integers, as many as the groups see, and each `channels` of them are a permutation.
    """
    if found.dtype.kind not in "iu":
        raise ValueError(f"expected integers, found {found.dtype}")
    count = groups * filter_channels
    if found.shape not in ((count,), (groups, filter_channels)):
        shapes = f"{count} integers, groups * filterChannels, or an array of shape {(groups, filter_channels)}"
        raise ValueError(f"expected {shapes}; found an array of shape {found.shape}")
    parts = found.reshape(-1, channels)
    outside = parts[(parts < 0) | (parts >= channels)]
    if outside.size:
        raise ValueError(f"expected channels from 0 to {channels - 1}, found {outside[0]}")
    wrong = np.flatnonzero((np.sort(parts, axis=1) != np.arange(channels)).any(axis=1))
    if wrong.size:
        first = int(wrong[0]) * channels
        wanted = f"a permutation of 0 .. {channels - 1} in each {channels} integers"
        raise ValueError(f"expected {wanted}; those from number {first} on are none")
    return found.reshape(groups, filter_channels).astype(np.int32)
