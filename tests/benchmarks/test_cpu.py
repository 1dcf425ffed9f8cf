"""benchmarks/cpu.py: its figures are what they are said to be. How large they are is no test's affair."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from convnet.errors import ConvnetError
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's programs import each other by bare name, and start processes that import convnet."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


class Pretended:
    """A way whose turns, of two steps each, take what they are said to take."""

    def __init__(self, name: str, times: list[float], asked: list[tuple[str, str]]) -> None:
        self.name, self.times, self.asked = name, iter(times), asked

    def ask(self, order: str) -> list[float]:
        self.asked.append((self.name, order))
        return [next(self.times), next(self.times)]


def test_ways_take_turns_and_what_warms_up_does_not_count() -> None:
    ways, asked = import_module("cpu_ways"), []
    one, two = [900.0, 900.0, 800.0, 800.0, 5.0, 1.0, 3.0, 9.0], [700.0, 700.0, 600.0, 600.0, 2.0, 40.0, 4.0, 8.0]
    found = ways.measure([Pretended("one", one, asked), Pretended("two", two, asked)], "train", 2)
    assert found == {"one": 4.0, "two": 6.0}
    assert asked == 4 * [("one", "train"), ("two", "train")]


def test_the_first_step_of_a_turn_counts_only_where_it_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    way = import_module("cpu_way")
    clock = iter([0.0, 0.15, 1.0, 1.04, 2.0, 2.02, 5.0, 5.3])  # seconds: steps of 150, 40, 20 and 300 ms
    monkeypatch.setattr(way.time, "perf_counter", lambda: next(clock))
    assert way.milliseconds(lambda: None) == pytest.approx([40, 20])
    assert way.milliseconds(lambda: None) == pytest.approx([300])


def test_only_tuned_ways_have_a_tuned_malloc(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = import_module("cpu_ways")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=3")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    plain, tuned = ways._environment(tuned=False), ways._environment(tuned=True)
    assert not {"GLIBC_TUNABLES", "MALLOC_ARENA_MAX"} & set(plain)
    settings = "mmap_threshold=8589934592", "trim_threshold=17179869184", "hugetlb=1"
    assert tuned == {**plain, "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{setting}" for setting in settings)}


def result_of(times: dict[str, float], memory: dict[str, tuple[float, float]]) -> dict[str, Any]:
    ways = import_module("cpu_ways")
    held = {way: {"peak": peak, "net": net} for way, (peak, net) in memory.items()}
    return {
        "net": "some", "mini": 8, "train": ways._beside_best(times),
        "test": ways._beside_best({way: ms / 2 for way, ms in times.items()}), "memory": ways._beside_least(held),
    }  # fmt: skip


def test_the_best_of_pytorchs_ways_counts() -> None:
    found = result_of(
        {"convnet": 10, "eager": 40, "compiled": 25, "eager, tuned malloc": 30},
        {"convnet": (200, 100), "eager": (500, 120), "compiled": (300, 160), "eager, tuned malloc": (600, 130)},
    )
    assert (found["train"]["best"], found["train"]["ratio"]) == ("compiled", 2.5)
    assert found["memory"]["ratio"] == {"peak": 1.5, "net": 1.2}
    tables = import_module("cpu_table")
    *_, row = tables.summary([found], {"some:8": tables.Target(2.0, 1.4, aim=3), "some:9": tables.Target(7, 7)})
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "some", "8", "10", "25 (compiled)", "2.50", ">= 2, aim 3", "5", "12.5 (compiled)", "2.50", ">= 1.4", "200",
        "300", "1.50", "1.20",
    ]  # fmt: skip


def test_a_process_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    ways = import_module("cpu_ways")
    with pytest.raises(ConvnetError, match="convnet: its process ended with exit status 1"):
        ways.Way("convnet", "no-such-net", 8, 1)
    assert "no-such-net" in capfd.readouterr().err


@pytest.mark.parametrize("pair", ["lenet5", "lenet5:", ":32", "lenet5:0", "lenet5:many"])
def test_a_net_needs_its_minibatch(pair: str) -> None:
    with pytest.raises(ConvnetError, match="expected NET:MINI"):
        import_module("nets").name_and_mini(pair)


def test_nets_with_a_target_can_be_built() -> None:
    nets = import_module("nets")
    sizes = {pair: nets.graph_of(nets.name_and_mini(pair)[0])[0].size for pair in import_module("cpu").TARGETS}
    assert all(sizes.values())


def test_alexnet_owt_plain_is_alexnet_owt_without_normalization() -> None:
    graph_of = import_module("nets").graph_of
    (plain, _), (whole, _) = graph_of("alexnet-owt-plain"), graph_of("alexnet-owt")

    def told(graph: Any) -> list[Any]:
        nodes = [node for node in graph.nodes if node.layer.type != "cmrnorm"]
        return [(node.name, node.layer.type, node.layer.shape, node.layer.learning) for node in nodes]

    assert len(plain.nodes) == len(whole.nodes) - 2
    assert told(plain) == told(whole)


@pytest.mark.peer
def test_a_net_is_compared(torch: Any) -> None:
    names = ["convnet", "eager", "channels_last, tuned malloc"]
    found = import_module("cpu_ways").compare("digits:8", 1, 2, names)
    for kind in ("train", "test"):
        times = found[kind]["ms"]
        assert list(times) == names
        assert found[kind]["ratio"] == pytest.approx(min(times[way] for way in names[1:]) / times["convnet"])
    assert list(found["memory"]["mib"]) == names
    for held in found["memory"]["mib"].values():
        assert 0 < held["net"] < held["peak"]
    assert found["layers"]["mini"] == 8
    text = "\n".join(import_module("cpu_table").details(found))
    assert all(f"| {name} |" in text for name in (*names, "probs", "update"))
