"""The figures of benchmarks/gpu.py as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(report: dict[str, Any]) -> str:
    """Two tables: steps beside PyTorch, and what each layer reaches."""
    driver = ".".join(map(str, report["driver"])) if isinstance(report["driver"], tuple) else report["driver"]
    lines = [f"# {report['gpu']}, {report['date']}", "", f"CUDA driver {driver}. Ceilings, measured:", ""]
    for precision, ceiling in report["ceilings"].items():
        product, copy = ceiling["TFLOP/s"], ceiling["GB/s"]
        lines.append(f"- {precision}: {product:.0f} TFLOP/s (matrix product), {copy:.0f} GB/s (copy)")
    lines += ["", "Steps in ms; a ratio is PyTorch's best time divided by ours.", ""]
    lines += _steps(report["steps"])
    for part in report["layers"]:
        lines += ["", f"## {part['net']}, minibatch {part['mini']}, {part['precision']}: every step of training", ""]
        lines += _layers(part["rows"])
    if report["left out"]:
        lines += ["", f"Left out, because time was over: {'; '.join(report['left out'])}."]
    return "\n".join(lines) + "\n"


def _steps(results: list[dict[str, Any]]) -> list[str]:
    ways = list(dict.fromkeys(way for result in results for way in result.get("pytorch", {})))
    head = ["net", "mini", "precision", "convnet", *ways, "ratio", "convnet, fed", "test", "test ratio"]
    rows = []
    for result in results:
        own, peer = result["convnet"], result.get("pytorch", {})
        rows.append([
            result["net"], str(result["mini"]), result["precision"], _ms(own["train"]),
            *(_ms(peer[way]["train"]) if way in peer else "" for way in ways), _ratio(result, "train"),
            _ms(own["train, fed"]), _ms(own["test"]), _ratio(result, "test"),
        ])  # fmt: skip
    return table(head, rows)


def _layers(rows: list[dict[str, Any]]) -> list[str]:
    head = ["phase", "layer", "operation", "ms", "rate", "share of the ceiling"]
    return table(head, [
        [row["phase"], row["layer"], row["operation"], f"{row['ms']:.3f}", f"{row['rate']:.1f} {row['unit']}",
         f"{100 * row['share']:.0f} %"]
        for row in rows
    ])  # fmt: skip


def _ms(value: float) -> str:
    return f"{value:.2f}"


def _ratio(result: dict[str, Any], kind: str) -> str:
    key = f"{kind} ratio"
    return f"{result[key]:.2f}" if key in result else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
