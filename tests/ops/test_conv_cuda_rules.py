"""Rules of convolutions on a GPU: which tile, how windows are read, into what parts sums and matrices are cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convnet.ops.conv import ConvGeometry
from convnet.ops.neuron import IDENT
from convnet.shape import Maps

from . import reference_conv
from .conftest import Run
from .conv_checks import Expected, check

pytestmark = pytest.mark.gpu


@pytest.fixture
def dev(cuda_device: Callable[[str], Any]) -> Any:
    return cuda_device("fp32")


@pytest.mark.parametrize("function", ["fprop", "bprop_acts", "bprop_weights"])
def test_convolutions_are_right_whatever_is_chosen(
    dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, function: str
) -> None:
    from convnet.backends.cuda import cache, choice

    monkeypatch.setattr(dev, "tune", True)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.setattr(choice.CHOICES, "known", {})
    g = ConvGeometry(Maps(8, 6, 7), 12, 3, 1, 1, 1, 6, 7)
    rng = np.random.default_rng(1)
    x, w, y = (rng.normal(size=s).astype(np.float32) for s in ((2, 6, 7, 8), g.weights, (2, 6, 7, 12)))
    a, b, out = {"fprop": (x, w, y), "bprop_acts": (y, w, x), "bprop_weights": (x, y, w)}[function]
    expected = Expected(getattr(reference_conv, function), a, b, g, 9 * 12)
    run = Run(dev, np.float32, "fp32")
    if function == "fprop":
        run("conv.fprop", a, b, None, out, g, accumulate=False, neuron=None)
    else:
        run(f"conv.{function}", a, b, out, g, accumulate=False)
    check(run, out, expected)
    (chosen,) = choice.CHOICES.known.values()
    assert chosen in ("128x128", "128x96", "128x64", "64x64", "im2col")


def test_the_rule(dev: Any) -> None:
    from convnet.ops.conv import cuda_tiles as tiles

    card = SimpleNamespace(processors=132, precision="bf16")
    chosen = {
        (m, n): str(tiles.best(card, tiles.GemmSize(m, n, 1)))
        for m, n in [(10**6, 512), (10**6, 96), (10**6, 64), (2000, 200)]
    }
    assert chosen == {(10**6, 512): "256x128", (10**6, 96): "128x96", (10**6, 64): "128x64", (2000, 200): "64x64"}


@pytest.mark.parametrize(
    ("tiles", "steps", "resident", "parts"),
    [(1, 1000, 8, 8), (8, 1000, 8, 1), (3, 1000, 8, 8), (1, 5, 8, 1), (1000, 1000, 8, 1)],
)
def test_parts_of_k(dev: Any, tiles: int, steps: int, resident: int, parts: int) -> None:
    from convnet.ops.conv.cuda_implicit import steps_of_part

    assert -(-steps // steps_of_part(tiles, steps, resident)) == parts


@pytest.mark.parametrize(
    ("channels", "filters", "stride", "padding", "width", "groups", "expected"),
    [
        (64, 64, 1, 1, 13, 2, (4, 4, False)),
        (3, 96, 4, 0, 224, 1, (4, 4, True)),
        (3, 96, 4, 2, 224, 1, (2, 4, True)),
        (3, 30, 1, 2, 32, 1, (1, 1, False)),
        (6, 4, 1, 0, 7, 1, (2, 4, False)),
        (6, 8, 4, 4, 8, 2, (1, 4, False)),
    ],
)
def test_how_windows_are_read(
    dev: Any, channels: int, filters: int, stride: int, padding: int, width: int, groups: int,
    expected: tuple[int, int, bool],
) -> None:  # fmt: skip
    from convnet.ops.conv.cuda_implicit import windows

    g = ConvGeometry(Maps(channels, 9, width), filters, 5, padding, stride, groups, 3, 3)
    reading = windows(dev, g)
    assert (reading.vec_a, reading.vec_b, reading.lines) == expected


@pytest.mark.parametrize("function", ["fprop", "bprop_acts", "bprop_weights"])
def test_windows_are_laid_out_some_cases_at_a_time(dev: Any, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    from convnet.ops.conv import cuda, cuda_windows

    g, rng = ConvGeometry(Maps(8, 6, 7), 12, 3, 1, 1, 1, 6, 7), np.random.default_rng(1)
    monkeypatch.setattr(cuda_windows, "WORKSPACE", 2 * 4 * g.modules * g.rows + 1)
    assert list(cuda_windows.chunks(g, 5, np.dtype(np.float32))) == [(0, 2), (2, 2), (4, 1)]
    x, w, y = (rng.normal(size=s).astype(np.float32) for s in ((5, 6, 7, 8), g.weights, (5, 6, 7, 12)))
    a, b, out = {"fprop": (x, w, y), "bprop_acts": (y, w, x), "bprop_weights": (x, y, w)}[function]
    expected = Expected(getattr(reference_conv, function), a, b, g, 5 * g.modules)
    held = [dev.array(dev.allocate(array.nbytes), 0, array.shape, array.dtype) for array in (a, b, out)]
    for source, target in zip((a, b), held, strict=False):
        dev.upload(source, target)
    options: dict[str, Any] = {"accumulate": False, **({"neuron": IDENT} if function == "fprop" else {})}
    arrays = [*held[:2], None, held[2]] if function == "fprop" else held
    getattr(cuda, function.upper()).candidates(dev, g, **options)["im2col"](*arrays)()
    check(Run(dev, np.float32, "fp32"), dev.download(held[2]), expected)
