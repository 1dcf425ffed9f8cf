"""Steps that a CPU does case by case give every bit that they give one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.net import ConvNet
from tests.net.nets import DATA, graph_of

from .nets import SCALES, scaled

MINI = 7


def a_minibatch(net: ConvNet, name: str, cases: int) -> list[np.ndarray]:
    random, maps = np.random.default_rng(cases), SCALES[name][1]
    images = random.standard_normal((cases, maps.y, maps.x, maps.channels))
    return [images.astype("f"), random.integers(0, 10, (cases, 1)).astype("f")]


def one_by_one(net: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net.bound, "joined", net.bound.program)


@pytest.mark.parametrize(
    "name", ["alexnet", "cifar-local-rnorm", "cifar-quick", "cifar-rnorm", "cifar-resnet", "lenet5"]
)
def test_training_and_testing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole minibatches and short ones."""
    results: list[list[Any]] = []
    for join in (False, True):
        net, found = ConvNet(scaled(name), CpuDevice(threads=2), mini=MINI), list[Any]()
        if not join:
            one_by_one(net, monkeypatch)
        for cases in (MINI, 3, 1, MINI):
            found += [net.train_minibatch(a_minibatch(net, name, cases))]
            found += [net.test_minibatch(a_minibatch(net, name, cases))]
        found += [(key, values.tobytes()) for key, values in net.state().items()]
        results.append(found)
    assert results[0] == results[1]


def test_steps_are_joined() -> None:
    """Without that the test above would show nothing."""
    net = ConvNet(scaled("cifar-quick"), CpuDevice(threads=2), mini=MINI)
    for training in (False, True):
        program, joined = (f(training=training, cases=MINI) for f in (net.bound.program, net.bound.joined))
        assert len(joined) < len(program) / 3
        assert {step.phase for step, _ in joined} == {step.phase for step, _ in program}
    names = [each.job.name for each in joined[0][1].launches]  # type: ignore[attr-defined]
    assert any("fprop, fprop" in name for name in names), names


@pytest.mark.parametrize("name", ["cifar-quick", "alexnet"])
def test_maps_that_only_neighbours_need_are_not_written(name: str) -> None:
    """In testing, what a convolution passes to the layers behind it."""
    net = ConvNet(scaled(name), CpuDevice(threads=2), mini=MINI)
    steps = [step for step, _ in net.bound.program(training=False, cases=MINI)]
    tensors = {tensor.memory: tensor for step in steps if step.operation == "conv.fprop" for tensor in step.tensors()}
    outputs = [net.bound.array(tensor, MINI) for tensor in tensors.values() if tensor.memory.per_case]
    for output in outputs:
        output.fill(12345)
    net.test_minibatch(a_minibatch(net, name, MINI))
    assert sum(bool(np.all(output == 12345)) for output in outputs) >= 3


def test_gradients_that_lie_where_maps_lay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of one group use one place for two things: here the gradient of one layer and the output of another."""
    layers = DATA + "[conv]\ntype=conv\ninputs=data\nchannels=3\nfilters=16\nfilterSize=3\npadding=1\ninitW=0.1\n"
    below = "conv"
    for number in range(5):
        layers += f"[norm{number}]\ntype=cmrnorm\ninputs={below}\nchannels=16\nsize=5\nscale=0.5\npow=0.75\n"
        below = f"norm{number}"
    layers += f"[fc]\ntype=fc\ninputs={below}\noutputs=4\ninitW=0.1\n[probs]\ntype=softmax\ninputs=fc\n"
    layers += "[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
    params = "".join(f"[{name}]\nepsW=0.01\nepsB=0.01\nmomW=0.9\nmomB=0.9\nwc=0\n" for name in ("conv", "fc"))
    random, results = np.random.default_rng(1), []
    data = [random.standard_normal((MINI, 12, 10, 3)).astype("f"), random.integers(0, 4, (MINI, 1)).astype("f")]
    for join in (False, True):
        net = ConvNet(graph_of(layers, params + "[logprob]\ncoeff=1\n"), CpuDevice(threads=2), mini=MINI)
        if not join:
            one_by_one(net, monkeypatch)
        found: list[Any] = [net.train_minibatch(data) for _ in range(3)]
        results.append(found + [(key, values.tobytes()) for key, values in net.state().items()])
    assert results[0] == results[1]
