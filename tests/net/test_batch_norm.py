"""Nets with batch normalization: beside PyTorch, in testing, in checkpoints, on devices of both kinds."""

from dataclasses import replace

import numpy as np
import pytest

from convnet.backends import PRECISIONS, DeviceOptions, open_device
from convnet.graph.describe import describe
from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.runs import continued_run
from tests.training import small

from .nets import DATA, graph_of

LAYERS = (
    DATA
    + """
[conv]
type=conv
inputs=data
channels=3
filters=6
filterSize=3
stride=2
initW=0.4
[maps]
type=bnorm
inputs=conv
eps=0.01
momentum=0.7
neuron=relu
[fc]
type=fc
inputs=maps
outputs=11
initW=0.2
[features]
type=bnorm
inputs=fc
neuron=tanh[1,1]
[last]
type=fc
inputs=features
outputs=4
initW=0.4
[probs]
type=softmax
inputs=last
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
EPS_W, EPS_B, MOMENTUM, DECAY, MINI = 0.05, 0.1, 0.9, 0.02, 8
RATES = f"epsW={EPS_W}\nepsB={EPS_B}\nmomW={MOMENTUM}\nmomB={MOMENTUM}\nwc={DECAY}\n"
PARAMS = "".join(f"[{name}]\n{RATES}" for name in ("conv", "maps", "fc", "features", "last"))
STATISTICS = {"maps.mean": 6, "maps.variance": 6, "features.mean": 11, "features.variance": 11}
IMAGE = (3, 9, 8)


def net_on(device, params=PARAMS, **options):
    return ConvNet(graph_of(LAYERS, params, image=IMAGE), device, mini=MINI, seed=3, **options)


def minibatch(seed, cases=MINI):
    random = np.random.default_rng(seed)
    images = random.standard_normal((cases, IMAGE[1], IMAGE[2], IMAGE[0])) + 0.5
    return [images.astype(np.float32), random.integers(0, 4, (cases, 1)).astype(np.float32)]


def trained(device, steps=3, **options):
    net = net_on(device, **options)
    for step in range(steps):
        net.train_minibatch(minibatch(step))
    return net


class Peer:
    """The same net in PyTorch; weights (rows, columns) as convnet gives them."""

    def __init__(self, torch, state):
        self.torch, held = torch, {name: value for name, value in state.items() if not name.endswith(".inc")}
        self.running = {name: torch.tensor(held.pop(name)).reshape(-1) for name in STATISTICS}
        self.weights = {name: torch.tensor(value) for name, value in held.items()}
        self.increments = {name: torch.zeros_like(value) for name, value in self.weights.items()}

    def cost(self, images, labels, *, training):
        functions, weights = self.torch.nn.functional, self.weights
        x = functions.pad(self.torch.tensor(images).permute(0, 3, 1, 2), (0, 1, 0, 0))  # the last window hangs over
        filters = weights["conv.weights.0"].T.reshape(-1, 3, 3, 3)
        x = functions.conv2d(x, filters, weights["conv.biases"].reshape(-1), stride=2)
        x = functions.relu(self.normalized("maps", x, 0.01, 0.7, training))
        x = x.flatten(1) @ weights["fc.weights.0"] + weights["fc.biases"]
        x = self.torch.tanh(self.normalized("features", x, 1e-5, 0.9, training))
        x = x @ weights["last.weights.0"] + weights["last.biases"]
        return functions.cross_entropy(x, self.torch.tensor(labels.reshape(-1)).long(), reduction="sum")

    def normalized(self, name, x, eps, momentum, training):
        scale, shift = (self.weights[f"{name}.{part}"].reshape(-1) for part in ("weights.0", "biases"))
        running = self.running[f"{name}.mean"], self.running[f"{name}.variance"]
        return self.torch.nn.functional.batch_norm(x, *running, scale, shift, training, 1 - momentum, eps)

    def step(self, images, labels):
        for weights in self.weights.values():
            weights.requires_grad_()
        cost = self.cost(images, labels, training=True)
        gradients = self.torch.autograd.grad(cost, list(self.weights.values()))
        for (name, weights), gradient in zip(self.weights.items(), gradients, strict=True):
            eps, decay = (EPS_B, 0.0) if name.endswith("biases") else (EPS_W, DECAY)
            held = weights.detach()
            increment = MOMENTUM * self.increments[name] - eps * gradient / MINI - eps * decay * held
            self.increments[name], self.weights[name] = increment, held + increment
        return cost.item()


@pytest.mark.peer
@pytest.mark.parametrize("cases", [MINI, MINI - 3], ids=["whole minibatch", "short minibatch"])
def test_three_steps_and_a_test_equal_pytorch(torch, device, cases):
    net = net_on(device)
    before, peer = net.state(), Peer(torch, net.state())
    for step in range(3):
        data = minibatch(step, cases)
        cost = net.train_minibatch(data)["logprob"]["cost"]
        assert cost == pytest.approx(peer.step(*data), rel=1e-4)
    after, expected = net.state(), {**peer.weights, **peer.running}
    for name, tensor in expected.items():
        found, values = after[name], tensor.detach().numpy().reshape(after[name].shape)
        moved = np.abs(values - before[name]).max()
        if name in ("conv.biases", "fc.biases"):  # a bias below does not change what is normalized
            assert moved < 1e-5
        else:
            assert moved > 1e-3, f"{name} has hardly moved: the comparison would show nothing"
            np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-4 * moved, err_msg=name)
    data = minibatch(9)
    expected = peer.cost(*data, training=False).item()
    assert net.test_minibatch(data)["logprob"]["cost"] == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(peer.cost(*data, training=True).item(), rel=1e-2)


def test_state_names_and_initial_values(device):
    state = net_on(device).state()
    assert {name for name in state if name.startswith(("maps", "features"))} == {
        f"{layer}.{part}"
        for layer in ("maps", "features")
        for part in ("weights.0", "weights.0.inc", "biases", "biases.inc", "mean", "variance")
    }
    for name, channels in STATISTICS.items():
        assert state[name].shape == (1, channels)
        assert (state[name] == ("variance" in name)).all()
    assert (state["maps.weights.0"] == 1).all()
    assert not state["features.biases"].any()


def test_statistics_are_no_parameters():
    described = describe(graph_of(LAYERS, PARAMS, image=IMAGE))
    weights = 27 * 6 + 6 + 2 * 6 + 6 * 4 * 4 * 11 + 11 + 2 * 11 + 11 * 4 + 4
    assert described["parameters"] == weights
    (maps,) = [layer for layer in described["layers"] if layer["name"] == "maps"]
    assert (maps["weights"], maps["biases"], maps["maps"]) == ([[1, 6]], [1, 6], [6, 4, 4])


def test_the_neuron_is_fused(device):
    net = net_on(device)
    for steps, operation in ((net.bound.plan.train, "bnorm.fprop_train"), (net.bound.plan.test, "bnorm.fprop_test")):
        found = {step.layer: step.parameters["neuron"].name for step in steps if step.operation == operation}
        assert found == {"maps": "relu", "features": "tanh"}
        assert not any(step.operation == "neuron.fprop" for step in steps)


def test_testing_leaves_the_statistics(device):
    net = trained(device)
    before = net.state()
    net.test_minibatch(minibatch(5))
    after = net.state()
    assert all(np.array_equal(after[name], values) for name, values in before.items())


def test_the_number_of_threads_does_not_change_a_bit():
    states = [trained(open_device(DeviceOptions("cpu", threads=threads))).state() for threads in (1, 2, 3)]
    for state in states[1:]:
        assert all(np.array_equal(state[name], values) for name, values in states[0].items())


def test_gradients_do_not_depend_on_the_statistics(device):
    """Which computing gradients moves: the same again, and other statistics, give the same."""
    net, data = net_on(device), minibatch(1)
    results = []
    for factor in (1, 1, 3):
        for name in STATISTICS:
            net.store.set("weights", net.parameter(name), factor * net.state()[name])
        net.compute_gradients(data)
        learning = [parameter for parameter in net.graph.parameters if parameter.learns]
        results.append([net.store.get("gradients", parameter).tobytes() for parameter in learning])
    assert results[0] == results[1] == results[2]


def test_a_layer_that_does_not_learn_passes_the_gradient_on(device):
    fixed = PARAMS.replace("[maps]\n" + RATES, "[maps]\nepsW=0\nepsB=0\nmomW=0\nmomB=0\n")
    assert fixed != PARAMS
    net, data = net_on(device, fixed, dtype=np.float64), [array.astype(float) for array in minibatch(2)]
    checks = {check.name: check for check in check_gradients(net, data)}
    assert "maps.weights.0" not in checks
    assert "features.weights.0" in checks
    assert checks["conv.weights.0"].error < 1e-6
    assert abs(checks["conv.weights.0"].analytic) > 1e-3


def test_gradients_that_are_0_are_right(device):
    """Those of biases below; 1e-7 too much of one would not be."""
    net, data = net_on(device, dtype=np.float64), [array.astype(float) for array in minibatch(2)]
    checks = {check.name: check for check in check_gradients(net, data)}
    for name in ("conv.biases", "fc.biases"):
        check = checks[name]
        assert abs(check.analytic) < 1e-12
        assert check.error < 1e-6
        assert replace(check, analytic=1e-7 * check.objective).error > 1e-3


SMALL = small.LAYERS.replace(
    "[pool1]\ntype=pool\ninputs=conv1\n",
    "[maps]\ntype=bnorm\ninputs=conv1\nneuron=relu\n[pool1]\ntype=pool\ninputs=maps\n",
)
SMALL_PARAMS = small.PARAMS + "[maps]\nepsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"


def check_resuming(folder, where):
    """A run that was stopped and continued ends with the same bytes as one that was not."""
    place = small.Place(folder, SMALL_PARAMS)
    place.layers.write_text(SMALL)
    whole = place.uninterrupted(device=where)
    stopped = place.start(device=where)
    small.stop_after(stopped, 7)
    held = Checkpoint.load(stopped.run).weights
    assert held["maps.mean"].all()
    assert (held["maps.variance"] != 1).all()
    small.finish(continued_run(stopped.run, None, {}, where))
    assert small.files_of(newest(stopped.run)) == small.files_of(newest(whole.run))


def test_a_run_that_was_stopped_ends_with_the_same_bytes(tmp_path):
    check_resuming(tmp_path, DeviceOptions("cpu", 2))


@pytest.mark.gpu
def test_a_run_that_was_stopped_on_a_gpu_ends_with_the_same_bytes(tmp_path, cuda_device):
    cuda_device("fp32")
    check_resuming(tmp_path, DeviceOptions("cuda", tune=False))


# Of the largest number of each array, after three steps. bf16: activations have 8 bits, and steps follow from steps.
ALLOWED = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 5e-2}


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_three_steps_on_a_gpu(precision, device, cuda_device):
    expected, found = (trained(where) for where in (device, cuda_device(precision)))
    states, allowed = (expected.state(), found.state()), ALLOWED[precision]
    for name in (*STATISTICS, "maps.weights.0", "maps.biases", "features.weights.0", "features.biases"):
        values = states[0][name]
        np.testing.assert_allclose(states[1][name], values, atol=allowed * np.abs(values).max(), err_msg=name)
    data = minibatch(9)
    costs = [net.test_minibatch(data)["logprob"]["cost"] for net in (expected, found)]
    assert costs[1] == pytest.approx(costs[0], rel=allowed)
