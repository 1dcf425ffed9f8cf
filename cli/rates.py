"""Learning rates in words."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_NAMES = 6  # of parameters with one rate, in one line


def rates_in_words(rates: Mapping[str, float]) -> str:
    """`0.01 weights, 0.02 biases`; where not all weights or not all biases have one rate, with their names."""
    by_rate: dict[float, list[str]] = {}
    for name, rate in rates.items():
        by_rate.setdefault(rate, []).append(name)
    words = [f"{rate:.4g} {_of(names, list(rates))}" for rate, names in by_rate.items()]
    return ", ".join(words) or "none, nothing learns"


def _of(names: list[str], everything: list[str]) -> str:
    biases = [name for name in everything if name.endswith(".biases")]
    weights = [name for name in everything if name not in biases]
    for group, words in ((everything, "weights and biases"), (weights, "weights"), (biases, "biases")):
        if names == group:
            return words
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"({', '.join(names[:_MOST_NAMES])}{more})"
