"""Channels in another order against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import Run

# rows, channels, times that each occurs: odd sizes; whole packs of a GPU, on either side; more columns, and more rows,
# than one block and one grid have.
SIZES = [(7, 5, 3), (13, 16, 1), (9, 6, 4), (5, 24, 2), (4, 301, 3), (70_001, 1, 2)]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}


def drawn(channels: int, times: int) -> np.ndarray:
    """Connections without the order of permutations, which the operation does not ask for."""
    return np.random.default_rng(channels).permutation(np.repeat(np.arange(channels), times))


def arrays(run: Run, rows: int, channels: int, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for the channels and for the connections."""
    rng = np.random.default_rng(rows)
    few, many = rng.normal(size=(rows, channels)), rng.normal(size=(rows, channels * times))
    return few.astype(run.dtype), many.astype(run.dtype)


@pytest.mark.parametrize(("rows", "channels", "times"), SIZES)
def test_gather(run: Run, rows: int, channels: int, times: int) -> None:
    x, y = arrays(run, rows, channels, times)
    connections = drawn(channels, times)
    run("channels.gather", x, y, connections=connections)
    for j, channel in enumerate(connections):
        np.testing.assert_array_equal(y[:, j], x[:, channel])


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("rows", "channels", "times"), SIZES)
def test_scatter(run: Run, rows: int, channels: int, times: int, accumulate: bool) -> None:
    dx, dy = arrays(run, rows, channels, times)
    connections = drawn(channels, times)
    expected = dx.astype(np.float64) if accumulate else np.zeros(dx.shape)
    size = np.abs(expected)
    for j, channel in enumerate(connections):
        expected[:, channel] += dy[:, j]
        size[:, channel] += np.abs(dy[:, j].astype(np.float64))
    run("channels.scatter", dy, dx, connections=connections, accumulate=accumulate)
    rounded = (times + 1) * UNIT[run.weights.name] * size + UNIT[run.dtype.name] * np.abs(expected)
    assert (np.abs(dx.astype(np.float64) - expected) <= rounded).all()


def test_scatter_adds_in_the_order_of_the_connections(run_exact: Run) -> None:
    """1 is lost beside a large number unless the large ones have gone before it comes."""
    large = 2.0**60
    dy, dx = np.array([[large, 1, -large, 1, 0, 0]], run_exact.dtype), np.zeros((1, 2), run_exact.dtype)
    run_exact("channels.scatter", dy, dx, connections=np.array([0, 0, 0, 1, 1, 1]), accumulate=False)
    assert dx.tolist() == [[0, 1]]
    dy[:] = [[large, -large, 1, 1, 0, 0]]
    run_exact("channels.scatter", dy, dx, connections=np.array([0, 0, 0, 1, 1, 1]), accumulate=False)
    assert dx.tolist() == [[1, 1]]


@pytest.mark.parametrize("connections", [[0, 1, 2, 2, 1, 1], [0, 1, 2, 3, 0, 1], [0, 1, 2, -1, 0, 1], [0, 1], []])
def test_connections_that_do_not_fit(run: Run, connections: list[int]) -> None:
    x, y = np.zeros((2, 3), run.dtype), np.zeros((2, len(connections)), run.dtype)
    with pytest.raises(ValueError, match="each of 3 channels equally often"):
        run("channels.gather", x, y, connections=np.array(connections, int))
    with pytest.raises(ValueError, match="each of 3 channels equally often"):
        run("channels.scatter", y, x, connections=np.array(connections, int), accumulate=False)


def test_arrays_that_do_not_fit(run: Run) -> None:
    x, connections = np.zeros((2, 3), run.dtype), np.array([0, 1, 2, 2, 1, 0])
    for y in (np.zeros((2, 5), run.dtype), np.zeros((3, 6), run.dtype)):
        with pytest.raises(ValueError, match=r"channels: \(2, 3\) and"):
            run("channels.gather", x, y, connections=connections)
        with pytest.raises(ValueError, match=r"channels: \(2, 3\) and"):
            run("channels.scatter", y, x, connections=connections, accumulate=False)
