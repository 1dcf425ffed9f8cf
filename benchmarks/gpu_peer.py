"""PyTorch's steps on a GPU, its best ways."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from gpu_timing import median_ms
from peer import peer_of

from convnet.graph.layer_graph import LayerGraph

WAYS = {"eager": (False, False), "channels_last": (True, False), "compiled": (True, True)}


def theirs(graph: LayerGraph, data: list[Any], precision: str, repeats: int) -> dict[str, dict[str, float]]:
    """Training and test steps in milliseconds, by way."""
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    found = {}
    for way, (channels_last, compiled) in WAYS.items():
        torch._dynamo.reset()
        steps = _steps(graph, data, precision, channels_last=channels_last, compiled=compiled)
        found[way] = {kind: median_ms(step, _mark, _between, repeats) for kind, step in steps.items()}
        torch.cuda.empty_cache()
    return found


def _mark() -> Any:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(first: Any, second: Any) -> float:
    return float(first.elapsed_time(second))


def _steps(
    graph: LayerGraph, data: list[Any], precision: str, *, channels_last: bool, compiled: bool
) -> dict[str, Callable[[], None]]:
    """SGD with momentum and decay, fused; autocast to bfloat16 for bf16."""
    x = torch.from_numpy(data[0]).permute(0, 3, 1, 2).contiguous().cuda()
    y = torch.from_numpy(data[1]).reshape(-1).long().cuda()
    model = peer_of(graph).cuda()
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    run = torch.compile(model) if compiled else model

    def rounded() -> contextlib.AbstractContextManager[Any]:
        return torch.autocast("cuda", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()

    def train() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with rounded():
            loss = torch.nn.functional.cross_entropy(run(x), y)
        loss.backward()
        optimizer.step()

    def test() -> None:
        model.eval()
        with torch.no_grad(), rounded():
            torch.nn.functional.cross_entropy(run(x), y)

    return {"train": train, "test": test}
