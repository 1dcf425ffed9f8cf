"""What counts as gradients that agree, and which are checked."""

import math

import numpy as np
import pytest

from convnet.config.report import ConfigError
from convnet.net import ConvNet
from convnet.net.gradient_check import GradientCheck, check_gradients

from .nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"


@pytest.mark.parametrize(("analytic", "numeric", "objective", "error"), [
    (2.0, 1.0, 3.0, 0.5), (0.0, 0.0, 0.0, 0.0), (0.0, 1e-9, 1.0, 1e-4), (-1.0, 1.0, 0.0, 2.0),
])  # fmt: skip
def test_error(analytic, numeric, objective, error):
    assert GradientCheck("x", analytic, numeric, objective).error == pytest.approx(error)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_agrees_with_nothing(place, number):
    numbers = [1.0, 1.0, 1.0]
    numbers[place] = number
    assert GradientCheck("x", *numbers).error == math.inf
    assert GradientCheck("x", number, number, number).error == math.inf


LAYERS = f"""{DATA.partition("[labels]")[0]}
[fc]
type=fc
inputs=data
outputs=5
initW=0.3
[root]
type=neuron
inputs=fc
neuron=sqrt
[cost]
type=cost.sum2
inputs=root
"""


def net_of(device, layers, params):
    net = ConvNet(graph_of(layers, params, image=(3, 4, 5)), device, mini=4, seed=1, dtype=np.float64)
    return net, [np.random.default_rng(2).standard_normal((4, 4, 5, 3))]


def test_a_net_of_nan_does_not_pass(device):
    """Roots of numbers below 0."""
    with np.errstate(invalid="ignore"):
        net, data = net_of(device, LAYERS, f"[fc]\n{RATES}")
        checks = list(check_gradients(net, data))
    assert [check.error for check in checks] == [math.inf] * 2


def test_weights_below_targets_are_left_out(device):
    """A cost depends on its targets, but gives them no gradient: the two slopes of [a] are not the same thing."""
    layers = LAYERS.partition("[fc]")[0] + "".join(
        f"[{name}]\ntype=fc\ninputs=data\noutputs=5\ninitW=0.3\nneuron=logistic\n" for name in "ab"
    )
    costs = "[cost]\ntype=cost.cauchy\ninputs=a,b\n[cost2]\ntype=cost.sum2\ninputs=a\n"
    params = "".join(f"[{name}]\n{RATES}" for name in "ab")
    net, data = net_of(device, layers + costs, params)
    checks = list(check_gradients(net, data))
    assert [check.name for check in checks] == ["b.weights.0", "b.biases"]
    assert max(check.error for check in checks) < 1e-6
    with pytest.raises(ConfigError, match="passes no gradient to its targets"):
        graph_of(layers + costs.partition("[cost2]")[0], params, image=(3, 4, 5))
