"""convnet and PyTorch on one net, each way in a process of its own, in turn.

A process's malloc has to be set before it starts, and its peak memory is to be its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from nets import name_and_mini

from convnet.errors import ConvnetError

# glibc's malloc gives large blocks back and gets them anew, page by page, at every step; so set, it keeps them.
TUNED_MALLOC = {
    "glibc.malloc.mmap_threshold": 8 << 30,
    "glibc.malloc.trim_threshold": 16 << 30,
    "glibc.malloc.hugetlb": 1,
}
OURS = "convnet"
PEERS = ("eager", "channels_last", "compiled")
TUNED = ", tuned malloc"
WAYS = (OURS, *PEERS, *(f"{way}{TUNED}" for way in PEERS))
_WARM_UP = 2  # rounds: the first one compiles, the second one still gets memory
_REST = 0.05  # seconds: threads that have worked look out for more work for some milliseconds


class Way:
    """A process that runs the steps of a net in one way."""

    def __init__(self, name: str, net: str, mini: int, threads: int) -> None:
        """Start it, and wait until its net is built."""
        self.name = name
        program = [sys.executable, str(Path(__file__).with_name("cpu_way.py"))]
        self._process = subprocess.Popen(
            [*program, name.removesuffix(TUNED), net, str(mini), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(tuned=name.endswith(TUNED)),
        )  # fmt: skip
        self._answer()

    def ask(self, order: str) -> Any:
        """The answer to an order of benchmarks/cpu_way.py.

        Raises:
            ConvnetError: if the process has ended.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # there will be no answer either
            print(order, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise ConvnetError(f"{self.name}: its process ended with exit status {self._process.returncode}")
        return json.loads(line)


def _environment(*, tuned: bool) -> dict[str, str]:
    """This one's, with malloc as it is by itself or tuned."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(("GLIBC_TUNABLES", "MALLOC_"))}
    if tuned:
        found["GLIBC_TUNABLES"] = ":".join(f"{name}={value}" for name, value in TUNED_MALLOC.items())
    return found


@contextmanager
def running(names: Iterable[str], net: str, mini: int, threads: int) -> Iterator[list[Way]]:
    """The ways of these names, started one after the other, for as long as they are needed."""
    with ExitStack() as stack:
        ways = []
        for name in names:
            ways.append(Way(name, net, mini, threads))
            stack.callback(ways[-1].close)
        yield ways


def measure(ways: list[Way], kind: str, repeats: int) -> dict[str, float]:
    """The median milliseconds of a step in each way, all in turn, so many turns each."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for repeat in range(-_WARM_UP, repeats):
        for way in ways:
            time.sleep(_REST)
            found = way.ask(kind)
            if repeat >= 0:
                times[way.name] += found
    return {name: statistics.median(found) for name, found in times.items()}


def compare(pair: str, repeats: int, threads: int, ways: Iterable[str] = WAYS) -> dict[str, Any]:
    """Both programs on the net and the minibatch of NET:MINI. The first of the ways is convnet's own.

    Raises:
        ConvnetError: if a process fails; it has told why.
    """
    net, mini = name_and_mini(pair)
    ours, *peers = ways
    with running([ours], net, mini, threads) as own:
        with running(peers, net, mini, threads) as others:
            train = measure([*own, *others], "train", repeats)
            memory = {way.name: way.ask("memory") for way in (*own, *others)}
            test = measure([*own, *others], "test", repeats)
        layers = own[0].ask("layers")
    return {
        "net": net, "mini": mini, "repeats": repeats, "train": _beside_best(train), "test": _beside_best(test),
        "memory": _beside_least(memory), "layers": layers,
    }  # fmt: skip


def _beside_best(times: dict[str, float]) -> dict[str, Any]:
    """Times of all ways, and the best of PyTorch's divided by ours."""
    best = min((name for name in times if name != OURS), key=lambda name: times[name])
    return {"ms": times, "best": best, "ratio": times[best] / times[OURS]}


def _beside_least(memory: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Memory of all ways, and the least of PyTorch's divided by ours, by either figure."""
    own = memory[OURS]
    least = {figure: min(found[figure] for name, found in memory.items() if name != OURS) for figure in own}
    return {"mib": memory, "ratio": {figure: least[figure] / own[figure] for figure in own}}
