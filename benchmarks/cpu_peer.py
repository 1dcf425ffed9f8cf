"""PyTorch's steps on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peer import peer_of

from convnet.graph.layer_graph import LayerGraph

Orders = dict[str, Callable[[], Any]]


def start(way: str, threads: int) -> Callable[[LayerGraph, list[Any]], Orders]:
    """What a process has before there is a net; gives what builds it for this way: eager, channels_last, compiled."""
    torch.set_num_threads(threads)
    return partial(_orders, way)


def _orders(way: str, graph: LayerGraph, data: list[Any]) -> Orders:
    """A training step, with SGD, momentum and decay, fused, and a test step.

    Raises:
        ValueError: if the peer has no such net.
    """
    order = torch.contiguous_format if way == "eager" else torch.channels_last
    model: Any = peer_of(graph)
    model = model.to(memory_format=order)
    x = torch.from_numpy(data[0]).permute(0, 3, 1, 2).contiguous(memory_format=order)
    y = torch.from_numpy(data[1]).reshape(-1).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    run = torch.compile(model) if way == "compiled" else model

    def train() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        cost: Any = torch.nn.functional.cross_entropy(run(x), y)
        cost.backward()
        optimizer.step()

    def test() -> None:
        model.eval()
        with torch.no_grad():
            torch.nn.functional.cross_entropy(run(x), y)

    return {"train": train, "test": test}
