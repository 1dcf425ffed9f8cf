"""One way to run a net on the CPU, in a process of its own: a program that benchmarks/cpu_ways.py starts.

    python benchmarks/cpu_way.py convnet|eager|channels_last|compiled NET MINI THREADS

The first line that it writes says what it is. Each line that it reads is an order, which it answers with a line of
JSON:

train, test     run steps, one behind the other as in training, for a fifth of a second: the milliseconds of each but
                the first, which finds threads asleep and caches full of what other processes did; of one that takes
                longer by itself, its own
memory          MiB of this process: "peak", the most that was resident; "net", the same less what was resident before
                the net was built
layers          of convnet alone: what `convnet time` tells
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from nets import graph_of, minibatch

from convnet.errors import ConvnetError

_TURN = 200  # milliseconds


def milliseconds(step: Callable[[], object]) -> list[float]:
    """The times that steps of one turn take."""
    times: list[float] = []
    while sum(times) < _TURN:
        began = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - began))
    return times[1:] or times


def resident(figure: str) -> float:
    """MiB of this process: VmRSS, what is resident now, or VmHWM, the most that was."""
    found = re.search(rf"{figure}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def prepare(way: str, name: str, mini: int, threads: int) -> dict[str, Callable[[], Any]]:
    """What answers each order.

    Raises:
        ConvnetError: if there is no such net.
        ValueError: if the peer has no such net.
    """
    # One of the two, so that no process holds what the other one needs.
    module = import_module("cpu_ours" if way == "convnet" else "cpu_peer")
    build = module.start(name if way == "convnet" else way, threads)
    graph, classes = graph_of(name)
    before = resident("VmRSS")
    orders = build(graph, minibatch(graph, classes, mini))

    def memory() -> dict[str, float]:
        peak = resident("VmHWM")
        return {"peak": peak, "net": peak - before}

    steps = {kind: partial(milliseconds, orders[kind]) for kind in ("train", "test")}
    return {**orders, **steps, "memory": memory}


def main() -> None:
    """Answer orders until there are no more."""
    way, name, mini, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a compiler prints is no answer
    try:
        orders = prepare(way, name, int(mini), int(threads))
    except (ConvnetError, ValueError) as error:
        raise SystemExit(f"{name}: {error}") from None
    print(json.dumps(way), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(orders[line.strip()]()), file=answers, flush=True)


if __name__ == "__main__":
    main()
