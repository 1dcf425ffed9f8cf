"""How one of several ways to compute a step on a GPU is chosen: by timing, by what was found before, or by rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
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

_LARGE = 1 << 25  # bytes to write, which takes longer than one byte


@pytest.fixture
def dev(cuda_device: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    device = cuda_device("fp32")
    monkeypatch.setattr(device, "tune", True)
    return device


@pytest.fixture
def choice(dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, remembering nothing, with an empty cache."""
    from convnet.ops.conv import cuda_choice

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_choice, "_known", {})
    return cuda_choice


class Ways:
    """Two candidates, one slower; `ran` counts their launches, `given` the arrays they were prepared for."""

    def __init__(self, dev: Any) -> None:
        self.dev, self.room = dev, dev.allocate(_LARGE)
        self.ran = {"slow": 0, "fast": 0}
        self.given: list[Any] = []

    def __call__(self) -> dict[str, Any]:
        return {name: lambda array, name=name: self.prepare(name, array) for name in self.ran}

    def prepare(self, name: str, array: Any) -> Callable[[], None]:
        self.given.append(array)

        def launch() -> None:
            import pycuda.driver as cuda

            self.ran[name] += 1
            cuda.memset_d8_async(self.room, 0, _LARGE if name == "slow" else 1, self.dev.stream)

        return launch


def an_array(dev: Any) -> Any:
    return dev.array(dev.allocate(24), 0, (2, 3), np.float32)


def choose(choice: ModuleType, dev: Any, ways: Ways, what: Any = "this", sources: tuple[Path, ...] = ()) -> str:
    """The name of the chosen one."""
    before = dict(ways.ran)
    launch = choice.choose(dev, [what], ways(), [an_array(dev)], by_rule="slow", sources=sources)
    timed = {name: ways.ran[name] for name in before}
    launch()
    return next(name for name in timed if ways.ran[name] > timed[name])


def test_the_fastest_is_taken_and_not_timed_again(choice: ModuleType, dev: Any) -> None:
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "fast"
    assert ways.ran["slow"] > 1
    timed = ways.ran["slow"]
    assert choose(choice, dev, ways) == "fast"
    choice._known.clear()  # as in another process
    assert choose(choice, dev, ways) == "fast"
    assert ways.ran["slow"] == timed
    assert choose(choice, dev, ways, "that") == "fast"
    assert ways.ran["slow"] > timed


def test_timing_leaves_arrays_and_workspace_alone(choice: ModuleType, dev: Any) -> None:
    ways, workspace = Ways(dev), dev.workspace
    array = an_array(dev)
    choice.choose(dev, ["this"], ways(), [array], by_rule="slow", sources=())
    assert dev.workspace is workspace
    *timed, last = ways.given
    assert last is array
    assert all(other.ptr != array.ptr and other.shape == array.shape for other in timed)


def test_a_changed_kernel_is_timed_again(choice: ModuleType, dev: Any, tmp_path: Path) -> None:
    ways, source = Ways(dev), tmp_path / "kernel.cu"
    source.write_text("one")
    choose(choice, dev, ways, sources=(source,))
    timed = ways.ran["slow"]
    source.write_text("other")
    choose(choice, dev, ways, sources=(source,))
    assert ways.ran["slow"] > timed


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"choice": 3}', "\0"])
def test_a_broken_file_is_not_believed(choice: ModuleType, dev: Any, tmp_path: Path, content: str) -> None:
    choose(choice, dev, Ways(dev))
    (kept,) = tmp_path.glob("**/choice-*.json")
    kept.write_text(content)
    choice._known.clear()
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "fast"
    assert ways.ran["slow"] > 1


def test_nothing_is_timed_where_that_is_not_wanted(choice: ModuleType, dev: Any) -> None:
    dev.tune = False
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "slow"
    assert ways.ran == {"slow": 1, "fast": 0}


def test_candidates_without_memory_are_left_out(choice: ModuleType, dev: Any) -> None:
    from convnet.backends.cuda.device import DeviceMemoryError

    def no_room(_array: Any) -> Callable[[], None]:
        def launch() -> None:
            raise DeviceMemoryError("cuda:0", 2, 1)

        return launch

    ways = Ways(dev)
    assert choice.choose(dev, ["this"], {**ways(), "large": no_room}, [an_array(dev)], by_rule="large", sources=())
    assert "large" not in choice._known.values()
    with pytest.raises(DeviceMemoryError):
        choice.choose(dev, ["that"], {"a": no_room, "b": no_room}, [an_array(dev)], by_rule="b", sources=())()


@pytest.mark.parametrize("function", ["fprop", "bprop_acts", "bprop_weights"])
def test_convolutions_are_right_whatever_is_chosen(choice: ModuleType, dev: Any, function: str) -> None:
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


def test_the_rule(dev: Any) -> None:
    from convnet.ops.conv import cuda_tiles as tiles

    card = SimpleNamespace(processors=132, precision="bf16")
    chosen = {
        (m, n): str(tiles.best(card, tiles.Product(m, n, 1)))
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
    monkeypatch.setattr(cuda_windows, "MATRIX", 2 * 4 * g.modules * g.rows + 1)
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
