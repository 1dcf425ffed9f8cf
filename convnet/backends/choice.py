"""Which of several ways to compute a step is the fastest: timed once, and remembered.

Ways add up in different orders, so that their results differ in the last bits. The same work on the same kind of device
gives the same bits as long as the same choices are taken. Within a process they always are. Another process may choose
otherwise

- if the cache was cleared, or cannot be written to: it times again, and of two ways nearly as fast, either may win;
- if a process lacked the memory to time any way: it goes by rule to its end, and writes nothing down. Where it lacked
  the memory for some ways only, the fastest of the others is written down like any choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from convnet.backends.cache import digest, written_aside


class Choices:
    """What was chosen so far."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}  # what this process has chosen; never another one again

    def take(
        self, folder: Path, key: str, names: Collection[str], time_all: Callable[[], Mapping[str, float]], *,
        by_rule: str, margin: float = 1.0,
    ) -> str:  # fmt: skip
        """The name of the fastest way, of the one `by_rule` where none can be timed.

        folder: where choices are kept, a file for each. key: everything that a choice depends on. time_all: gives the
        milliseconds of each way that can be timed; it is called for a new key only. margin: the way `by_rule` is kept
        unless another one takes less than this part of its time.
        """
        if key not in self.known:
            file = folder / f"choice-{digest(key)}.json"
            self.known[key] = _kept(file, key, names) or _fastest(file, key, time_all(), by_rule, margin) or by_rule
        return self.known[key]


def _fastest(file: Path, key: str, times: Mapping[str, float], by_rule: str, margin: float) -> str | None:
    """The name of the fastest way, which is then kept; None if there is none."""
    if not times:
        return None
    name = min(times, key=lambda each: times[each])
    if by_rule in times and times[name] > margin * times[by_rule]:
        name = by_rule
    _keep(file, key, name, times)
    return name


def _kept(file: Path, key: str, names: Collection[str]) -> str | None:
    """The name of a way chosen before; None if there is none or its file is broken."""
    try:
        held = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    name = held.get("choice") if isinstance(held, dict) and held.get("key") == key else None
    return name if isinstance(name, str) and name in names else None


def _keep(file: Path, key: str, name: str, times: Mapping[str, float]) -> None:
    """Write a choice down. Where nothing can be written, the next process chooses anew."""
    try:
        with written_aside(file) as aside:
            aside.write_text(json.dumps({"key": key, "choice": name, "milliseconds": times}, indent=1))
    except OSError:
        return
