"""Nets on several devices that a CPU stands for: replicas, towers and the mixture of both give what one gives."""

from __future__ import annotations

import numpy as np
import pytest

from convnet import ops
from convnet.errors import ConvnetError
from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from convnet.plan.step import COPY, SUM
from convnet.shape import Shape
from convnet.weights.schedule import Progress

from .nets import DATA, graph_of
from .several import (
    COST,
    MIXED,
    MIXED_PARAMS,
    PARAMS,
    RATES,
    REPLICAS,
    TOWERS,
    TOWERS_PARAMS,
    assert_equal_nets,
    minibatches,
    on_cpu,
    replicas_of,
    trained,
)  # fmt: skip


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)])
@pytest.mark.parametrize("period", [0, 2])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_replicas_learn_what_one_device_learns(number, period, dtype, tolerance):
    """Dropout, shared weights, short and empty parts, updates in every second minibatch included."""
    params, gpus = PARAMS.replace("PERIOD", str(period)), ",".join(map(str, range(number)))
    one = trained(REPLICAS.replace("GPUS", "0"), params, on_cpu(1), dtype)
    many = trained(REPLICAS.replace("GPUS", gpus), params, on_cpu(number), dtype)
    assert_equal_nets(many, one, tolerance)
    for name, arrays in replicas_of(many[0]):
        assert len(arrays) == number
        assert all(array.tobytes() == arrays[0].tobytes() for array in arrays), name


def test_towers_learn_what_they_learn_on_one_device():
    """Activations, gradients and conversions of their order cross between the devices; the cost lies on another one."""
    both = trained(TOWERS, TOWERS_PARAMS, on_cpu(2))
    assert any(step.operation == COPY for step in both[0].bound.plan.train)
    assert_equal_nets(both, trained(TOWERS.replace("gpu=1", "gpu=0"), TOWERS_PARAMS, on_cpu(1)), 1e-12)


def test_weights_lie_where_their_layer_runs():
    net = ConvNet(graph_of(TOWERS, TOWERS_PARAMS, image=(3, 7, 5)), on_cpu(2), mini=8)
    for index, layout in net.store.layouts.items():
        assert {net.graph[parameter.layer].gpus for parameter in layout.parameters} == {(index,)}


class Plain:
    """A fully-connected layer y = f(x W + b), learning by the rule of section 2.4 from gradients that are given."""

    def __init__(self, net, name, curve, cases):
        self.name, self.curve, self.cases = name, curve, cases
        self.weights = [net.store.get("weights", net.parameter(f"{name}.{part}")) for part in ("weights.0", "biases")]
        self.steps = [np.zeros_like(values) for values in self.weights]
        self.gradients = [np.zeros_like(values) for values in self.weights]

    def forward(self, x):
        y = x @ self.weights[0] + self.weights[1]
        return self.curve[0] * np.tanh(self.curve[1] * y) if self.curve else y

    def backward(self, x, y, dy):
        if self.curve:
            a, b = self.curve
            dy = dy * b * (a - y * y / a)
        self.gradients[0] += x.T @ dy
        self.gradients[1] += dy.sum(axis=0, keepdims=True)
        return dy @ self.weights[0].T

    def update(self):
        for i, (eps, mom, decay) in enumerate([(0.1, 0.9, 0.01), (0.2, 0.8, 0.0)]):
            fall = eps * self.gradients[i] / self.cases + eps * decay * self.weights[i]
            self.steps[i] = mom * self.steps[i] - fall
            self.weights[i] = self.weights[i] + self.steps[i]
            self.gradients[i][:] = 0


def plainly(layers, data, period, passes):
    """A minibatch as the rules of passes have it: four parts, a pass each for the layers with one replica.

    passes: how many there were before.
    """
    wide, middle, lefta, leftb, fc2 = layers
    size = -(-len(data[0]) // 4)
    parts = [(data[0][i * size : (i + 1) * size], data[1][i * size : (i + 1) * size, 0].astype(int)) for i in range(4)]
    hidden = [wide.forward(x) for x, _ in parts]
    cost, arrived = 0.0, [None] * 4
    for turn in range(2):
        own = [2 * turn, 2 * turn + 1]
        mid = {part: middle.forward(hidden[part]) for part in own}
        above = {}
        for part in own:
            labels, left, right = parts[part][1], lefta.forward(mid[part]), leftb.forward(mid[part])
            x = np.concatenate([left, right], axis=1)
            z = fc2.forward(x)
            p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            cost -= np.log(p[np.arange(len(p)), labels]).sum()
            dx = fc2.backward(x, z, p - np.eye(4)[labels])
            above[part] = lefta.backward(mid[part], left, dx[:, :5]) + leftb.backward(mid[part], right, dx[:, 5:])
            lefta.update()
            leftb.update()
            if (passes + part + 1) % max(period, 1) == 0:
                fc2.update()
        for part in own:
            arrived[part] = middle.backward(hidden[part], mid[part], above[part])
        middle.update()
    for part in range(4):
        wide.backward(parts[part][0], hidden[part], arrived[part])
    wide.update()
    return cost


@pytest.mark.parametrize("period", [0, 2, 4, 8])
def test_passes_are_what_the_rules_say(period):
    """The layers with one replica learn after every pass, from a quarter of the minibatch; those with two after two.

    With updatePeriod=8, fc2 learns in every second minibatch.
    """
    graph = graph_of(MIXED, MIXED_PARAMS.replace("UPDATE", str(period)), shapes=[Shape(10), Shape(1)])
    net = ConvNet(graph, on_cpu(4), mini=16, seed=5, dtype=np.float64)
    layers = [
        Plain(net, name, curve, cases)
        for name, curve, cases in [
            ("wide", (1.2, 0.8), 16), ("middle", (1.1, 0.9), 8), ("lefta", None, 4), ("leftb", None, 4),
            ("fc2", None, 4 * max(1, period)),
        ]
    ]  # fmt: skip
    random = np.random.default_rng(1)
    for number, cases in enumerate((16, 16, 13, 5, 16)):
        data = [random.standard_normal((cases, 10)), random.integers(0, 4, (cases, 1)).astype(np.float64)]
        expected = plainly(layers, data, period, 4 * number)
        assert net.train_minibatch(data)["logprob"]["cost"] == pytest.approx(expected, rel=1e-12)
    state = net.state()
    for layer in layers:
        for part, values, steps in zip(("weights.0", "biases"), layer.weights, layer.steps, strict=True):
            np.testing.assert_allclose(state[f"{layer.name}.{part}"], values, rtol=1e-11, atol=1e-14)
            np.testing.assert_allclose(state[f"{layer.name}.{part}.inc"], steps, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("layers", "params", "shapes"), [
    (REPLICAS.replace("GPUS", "0,1,2"), PARAMS.replace("PERIOD", "3"), None), (TOWERS, TOWERS_PARAMS, None),
    (MIXED, MIXED_PARAMS.replace("UPDATE", "1"), [Shape(10), Shape(1)]),
])  # fmt: skip
def test_gradients(layers, params, shapes):
    graph = graph_of(layers, params, shapes=shapes, image=(3, 7, 5))
    net = ConvNet(graph, on_cpu(graph.devices), mini=7, seed=2, dtype=np.float64, input_grads=True, updates=False)
    random = np.random.default_rng(2)
    images = random.standard_normal((7, 10) if shapes else (7, 7, 5, 3))
    checks = list(check_gradients(net, [images, random.integers(0, 4, (7, 1)).astype(float)]))
    assert len(checks) == len(graph.parameters) + 1
    assert max(check.error for check in checks) < 1e-6


@pytest.mark.parametrize(("operation", "function"), [("matmul", "bprop_acts"), ("update", "momentum")])
def test_an_error_on_one_device_is_told(operation, function, monkeypatch):
    """And the others do not wait for it for ever; also if it is the last thing that the device does."""
    cpu = ops.load(operation, "cpu")

    def broken(*_arguments, **_parameters):
        def launch():
            raise ConvnetError("the device is on fire")

        return launch

    monkeypatch.setattr(cpu, function, broken)
    net = ConvNet(graph_of(TOWERS, TOWERS_PARAMS, image=(3, 7, 5)), on_cpu(2), mini=8)
    with pytest.raises(ConvnetError, match="on fire"):
        net.train_minibatch(minibatches()[0])


SLOW_BELOW = f"""{DATA}
[conv1]
type=conv
inputs=data
channels=3
filters=32
filterSize=5
padding=2
initW=0.1
neuron=relu
[drop]
type=dropout
inputs=conv1
[conv2]
type=conv
inputs=drop
channels=32
filters=32
filterSize=5
padding=2
initW=0.05
[fc2]
type=fc
inputs=conv2
outputs=4
initW=0.05
gpu=1
{COST}"""


def test_what_changes_between_minibatches_changes_for_all_devices_at_once():
    """The first device has no cost to wait for, and is still busy with bprop when the second one is done.

    What counts the draws of dropout and the rates must not change for it until it is done.
    """
    rates = "epsW=linear[base=0.01;tgtFactor=1000]\nepsB=0\nmomW=0.9\nmomB=0\n"
    params = f"[conv1]\n{rates}[conv2]\n{rates}[fc2]\n{rates}[drop]\nkeep=0.5\n"
    nets = []
    for layers, number in ((SLOW_BELOW, 2), (SLOW_BELOW.replace("gpu=1\n", ""), 1)):
        net = ConvNet(graph_of(layers, params, image=(3, 16, 16)), on_cpu(number), mini=16, seed=3)
        random, costs = np.random.default_rng(0), []
        for step in range(4):
            net.set_progress(Progress(step / 4))
            data = [random.standard_normal((16, 16, 16, 3)), random.integers(0, 4, (16, 1))]
            costs.append(net.train_minibatch([values.astype(np.float32) for values in data])["logprob"]["cost"])
        nets.append((net, costs))
    assert_equal_nets(*nets, 1e-6)


NORMALIZED = f"""{DATA}
[conv1]
type=conv
inputs=data
channels=3
filters=6
filterSize=3
initW=0.3
gpu=GPUS
[norm]
type=bnorm
inputs=conv1
[fc2]
type=fc
inputs=norm
outputs=4
initW=0.3
{COST}gpu=GPUS
"""


def test_replicas_normalize_by_themselves_and_test_alike():
    """Each replica sees the statistics of its own part; the first one's running statistics are everybody's."""
    params = f"[conv1]\n{RATES}[norm]\n{RATES}[fc2]\n{RATES}[logprob]\n"
    for name, arrays in replicas_of(trained(NORMALIZED.replace("GPUS", "0,1"), params, on_cpu(2))[0]):
        assert arrays[0].tobytes() == arrays[1].tobytes(), name

    def net_on(gpus, number):
        graph = graph_of(NORMALIZED.replace("GPUS", gpus), params, image=(3, 7, 5))
        return ConvNet(graph, on_cpu(number), mini=8, seed=3)

    whole, halves, first, second = minibatches()[0], net_on("0,1", 2), net_on("0", 1), net_on("0", 1)
    parts = [[values[:4] for values in whole], [values[4:] for values in whole]]
    costs = [net.train_minibatch(part)["logprob"]["cost"] for net, part in zip((first, second), parts, strict=True)]
    assert halves.train_minibatch(whole)["logprob"]["cost"] == pytest.approx(sum(costs), rel=1e-6)
    for name in ("norm.mean", "norm.variance"):
        np.testing.assert_allclose(halves.state()[name], first.state()[name], rtol=1e-6)
        assert not np.allclose(halves.state()[name], second.state()[name], rtol=1e-3)


def test_what_does_not_learn_is_not_sent():
    def sent(params):
        layers = NORMALIZED.replace("GPUS", "0,1")
        net = ConvNet(graph_of(layers, params, image=(3, 7, 5)), on_cpu(2), mini=8)
        copies = [step for step in net.bound.plan.train if step.operation == COPY and step.phase == SUM]
        return sum(step.arguments[0].memory.numbers for step in copies)

    params = f"[conv1]\n{RATES}[norm]\n{RATES}[fc2]\nepsW=0\nepsB=0\nmomW=0\nmomB=0\n[logprob]\n"
    assert sent(params) == 2 * sum(-(-size // 16) * 16 for size in (27 * 6, 6, 6)) + 2 * 6
