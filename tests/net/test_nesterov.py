"""The key `nesterov`: two steps, followed in the increments and weights of a net."""

import numpy as np

from convnet.net import ConvNet
from convnet.shape import Shape
from convnet.weights.schedule import Progress

from .nets import graph_of
from .test_update_rule import FEATURES, LAYERS, MINI, PARAMS


def states(device, params, steps):
    """The net's state before and after each step, and its rates of the weights."""
    net = ConvNet(graph_of(LAYERS, params, shapes=[Shape(FEATURES), Shape(1)]), device, mini=MINI, dtype="float64")
    net.set_progress(Progress(0.25))
    random, found = np.random.default_rng(3), [net.state()]
    for _ in range(steps):
        net.train_minibatch([random.standard_normal((MINI, FEATURES)), random.integers(0, 3, (MINI, 1)).astype(float)])
        found.append(net.state())
    return found


def test_only_layers_with_the_key_look_ahead(device):
    momenta = {"hidden.weights.0": 0.9, "hidden.biases": 0.5}
    before, first, second = states(device, PARAMS.replace("[hidden]", "[hidden]\nnesterov=true"), 2)
    for name, mom in momenta.items():
        steps = [first[f"{name}.inc"], second[f"{name}.inc"] - mom * first[f"{name}.inc"]]
        for earlier, later, step in ((before, first, steps[0]), (first, second, steps[1])):
            assert np.abs(step).max() > 1e-4, "nothing to compare"
            moved = mom * later[f"{name}.inc"] + step
            np.testing.assert_allclose(later[name] - earlier[name], moved, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(second["last.biases"] - first["last.biases"], second["last.biases.inc"], rtol=1e-9)
    plain = states(device, PARAMS, 2)
    assert np.abs(plain[1]["hidden.weights.0"] - first["hidden.weights.0"]).max() > 1e-4
    for name in momenta:
        np.testing.assert_allclose(plain[1][f"{name}.inc"], first[f"{name}.inc"], rtol=1e-12)
