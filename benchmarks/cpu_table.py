"""The figures of benchmarks/cpu.py as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gpu_table import table


class Target(NamedTuple):
    """The ratios that are wanted, of a training step and of a test step; `aim`: what would be better still."""

    train: float
    test: float
    aim: float | None = None


_SUMMARY = (
    "net", "mini", "training step, ms", "PyTorch's best", "ratio", "target", "test step, ms", "PyTorch's best", "ratio",
    "target", "memory, MiB", "PyTorch's least", "ratio", "ratio above start",
)  # fmt: skip
_WAYS = ("way", "training step, ms", "test step, ms", "memory, MiB", "above start, MiB")
_LAYERS = ("layer", "type", "fprop ms", "bprop ms", "ms", "GFLOP/s", "GB/s", "share")


def summary(results: list[dict[str, Any]], targets: Mapping[str, Target]) -> list[str]:
    """A line for each net: convnet beside the best that PyTorch does, and the ratios that are wanted.

    targets: by NET:MINI.
    """
    return table(_SUMMARY, [_summed(each, targets.get(f"{each['net']}:{each['mini']}")) for each in results])


def _summed(result: dict[str, Any], target: Target | None) -> list[str]:
    memory = result["memory"]
    least = min(found["peak"] for way, found in memory["mib"].items() if way != "convnet")
    wanted = ("", "") if target is None else (f">= {target.train:g}", f">= {target.test:g}")
    aim = f", aim {target.aim:g}" if target and target.aim else ""
    return [
        result["net"], str(result["mini"]), *_beside(result["train"]), wanted[0] + aim, *_beside(result["test"]),
        wanted[1], f"{memory['mib']['convnet']['peak']:.0f}", f"{least:.0f}", f"{memory['ratio']['peak']:.2f}",
        f"{memory['ratio']['net']:.2f}",
    ]  # fmt: skip


def _beside(kind: dict[str, Any]) -> tuple[str, str, str]:
    times, best = kind["ms"], kind["best"]
    return _ms(times["convnet"]), f"{_ms(times[best])} ({best})", f"{kind['ratio']:.2f}"


def details(result: dict[str, Any]) -> list[str]:
    """Of one net: times and memory of every way, and convnet's layers."""
    memory, layers = result["memory"]["mib"], result["layers"]
    ways = [
        [way, _ms(ms), _ms(result["test"]["ms"][way]), f"{memory[way]['peak']:.0f}", f"{memory[way]['net']:.0f}"]
        for way, ms in result["train"]["ms"].items()
    ]
    rows = [_layer(layer["name"], layer["type"], layer) for layer in layers["layers"] if layer["steps"]]
    phases = ", ".join(f"{phase} {_ms(layers[f'{phase}_ms'])}" for phase in ("fprop", "bprop", "update"))
    rates = f"{layers['gemm_gflops']:.0f} GFLOP/s in products of matrices, {layers['copy_gbs']:.1f} GB/s in copies"
    return [
        f"## {result['net']}, minibatch {result['mini']}", "",
        *table(_WAYS, ways), "",
        *table(_LAYERS, [*rows, _layer("update", "", layers["update"])]), "",
        f"A training step by itself: {_ms(layers['step_ms'])} ms ({phases}). The processor can do {rates}.", "",
    ]  # fmt: skip


def _layer(name: str, kind: str, part: dict[str, Any]) -> list[str]:
    """What each layer takes, and what it reaches, without zeros."""
    times = [_ms(part[key]) if part.get(key) else "" for key in ("fprop_ms", "bprop_ms", "ms")]
    rates = [f"{part[key]:.1f}" if part[key] else "" for key in ("gflops", "gbs")]
    return [name, kind, *times, *rates, f"{100 * part['share']:.0f} %"]


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
