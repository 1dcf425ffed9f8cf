"""Grids of rows and columns: every place has one thread, and kernels take the rows that are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convnet.ops.dropout import Counter
from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps
from tests.ops.conftest import Run

pytestmark = pytest.mark.gpu

SIZES = [(1, 1), (7, 3), (1000, 1), (3, 255), (3, 256), (3, 257), (2, 5000), (50_000_000, 24), (40, 100_000_000)]
KEEP = {"keep": 0.4, "scale": 2.5, "seed": 1, "stream": 3, "counter": Counter(8), "accumulate": True}

Numbers = Callable[..., np.ndarray]
Call = tuple[str, list[Any], dict[str, Any]]

CALLS: dict[str, Callable[[Numbers], Call]] = {
    "bias and neuron": lambda r: (
        "matmul.fprop",
        [r(101, 3), r(3, 8), r(8), r(101, 8)],
        {"accumulate": False, "neuron": NeuronFunction("square")},
    ),
    "concat": lambda r: ("concat.fprop", [r(1101, 3), r(1101, 5)], {"offset": 1}),
    "concat in packs": lambda r: ("concat.fprop", [r(1101, 8), r(1101, 24)], {"offset": 16}),
    "dropout": lambda r: ("dropout.apply", [r(1101, 7), r(1101, 7)], KEEP),
    "dropout in packs": lambda r: ("dropout.apply", [r(1101, 8), r(1101, 8)], KEEP),
    "layout": lambda r: (
        "layout.convert",
        [r(101, 2, 3, 4), Maps(4, 2, 3), r(101, 4, 2, 3), Maps(3, 4, 2)],
        {"accumulate": False},
    ),
    "logreg": lambda r: (
        "logreg.bprop",
        [np.zeros((1101, 1)), r(1101, 5), r(1101, 5)],
        {"coeff": 1.0, "smoothing": 0.1, "accumulate": True},
    ),
    "logreg and softmax": lambda r: (
        "logreg.bprop_softmax",
        [np.zeros((1101, 1)), r(1101, 5), r(1101, 5)],
        {"coeff": 1.0, "smoothing": 0.1, "accumulate": True},
    ),
}


@pytest.fixture
def grid(cuda_device: Any) -> Any:
    cuda_device("fp32")
    from convnet.backends.cuda import grid

    return grid


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_place_has_one_thread(grid: Any, size: tuple[int, int]) -> None:
    rows, columns = size
    (across, down), (width, height) = grid.rows_and_columns(rows, columns)
    assert width * height <= 256
    assert (across - 1) * width < columns <= across * width
    assert (down - 1) * height < rows
    assert down * height >= rows or across * down > grid._BLOCKS // 2
    assert across < 2**31
    assert down < 2**16


@pytest.mark.parametrize("columns", [5, 8, 300])
def test_blocks_are_well_filled(grid: Any, columns: int) -> None:
    (across, _), (width, height) = grid.rows_and_columns(10_000, columns)
    assert width * height > 128
    assert columns > 0.99 * across * width


@pytest.mark.parametrize(("rows", "columns", "threads"), [(5, 1, 32), (5, 32, 32), (5, 33, 64), (5, 9999, 256)])
def test_a_block_for_each_row_is_made_of_whole_warps(grid: Any, rows: int, columns: int, threads: int) -> None:
    assert grid.block_per_row(rows, columns) == ((rows,), (threads,))


def test_spans_are_packs_only_where_all_sizes_are(grid: Any, cuda_device: Any) -> None:
    fp32, bf16 = cuda_device("fp32"), cuda_device("bf16")
    assert [grid.span(fp32, *sizes) for sizes in [(4,), (8, 4, 0), (8, 6), (2,)]] == [4, 4, 1, 1]
    assert [grid.span(bf16, *sizes) for sizes in [(4,), (8, 16, 0), (8, 12)]] == [1, 8, 1]


@pytest.mark.parametrize("name", CALLS)
def test_threads_take_the_rows_that_are_left(
    grid: Any, cuda_device: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With two blocks at most, as large arrays have it, results are those of a thread for each place."""
    device = cuda_device("fp32")
    found = []
    for blocks in (1 << 13, 2):
        monkeypatch.setattr(grid, "_BLOCKS", blocks)
        found.append(bits(Run(device, device.activations, "fp32"), name))
    assert found[0] == found[1]


def bits(run: Run, name: str) -> list[bytes]:
    """Those of all arrays of a call after it."""
    generator = np.random.default_rng(4)
    operation, arguments, keywords = CALLS[name](lambda *shape: generator.normal(size=shape))
    arguments = [value.astype(np.float32) if isinstance(value, np.ndarray) else value for value in arguments]
    run(operation, *arguments, **keywords)
    return [value.tobytes() for value in arguments if isinstance(value, np.ndarray)]
