"""How one of several ways to compute a step on a GPU is chosen: by timing, by what was found before, or by rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convnet.errors import DeviceMemoryError

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
    from convnet.backends.cuda import cache, choice

    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.setattr(choice.CHOICES, "known", {})
    return choice


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
    choice.CHOICES.known.clear()  # as in another process
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
    choice.CHOICES.known.clear()
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "fast"
    assert ways.ran["slow"] > 1


def test_nothing_is_timed_where_that_is_not_wanted(choice: ModuleType, dev: Any) -> None:
    dev.tune = False
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "slow"
    assert ways.ran == {"slow": 1, "fast": 0}


def test_candidates_without_memory_are_left_out(choice: ModuleType, dev: Any) -> None:
    def no_room(_array: Any) -> Callable[[], None]:
        def launch() -> None:
            raise DeviceMemoryError("cuda:0", 2, 1)

        return launch

    ways = Ways(dev)
    assert choice.choose(dev, ["this"], {**ways(), "large": no_room}, [an_array(dev)], by_rule="large", sources=())
    assert "large" not in choice.CHOICES.known.values()
    with pytest.raises(DeviceMemoryError):
        choice.choose(dev, ["that"], {"a": no_room, "b": no_room}, [an_array(dev)], by_rule="b", sources=())()


def test_without_memory_to_time_the_rule_holds_for_this_process(
    choice: ModuleType, dev: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Ways(dev)
    with monkeypatch.context() as patch:
        patch.setattr(choice, "_alike", no_memory)
        assert choose(choice, dev, ways) == "slow"
    assert choose(choice, dev, ways) == "slow", "there is memory now, but bits must not change"
    assert ways.ran["fast"] == 0
    choice.CHOICES.known.clear()  # as in another process
    assert choose(choice, dev, ways) == "fast"


def no_memory(*_arguments: Any) -> None:
    raise DeviceMemoryError("cuda:0", 2, 1)


def test_a_cache_that_cannot_be_written_to_is_no_error(
    choice: ModuleType, dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(choice.cache, "folder", lambda: tmp_path / "file")
    ways = Ways(dev)
    assert choose(choice, dev, ways) == "fast"
    timed = ways.ran["slow"]
    assert choose(choice, dev, ways) == "fast"
    assert ways.ran["slow"] == timed
