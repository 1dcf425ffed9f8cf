"""Nets on several devices, and what tests compare of them: replicas, towers, and a mixture of both."""

from __future__ import annotations

import itertools

import numpy as np

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet
from tests.net.nets import DATA, graph_of

SLOW = "epsW=0.01\nepsB=0.02\nmomW=0.9\nmomB=0.8\nwc=0.01\n"
RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\nwc=0.01\n"
COST = "[probs]\ntype=softmax\ninputs=fc2\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
REPLICAS = f"""{DATA}
[conv1]
type=conv
inputs=data
channels=3
filters=6
filterSize=3
padding=1
initW=0.3
neuron=relu
gpu=GPUS
[conv2]
type=conv
inputs=conv1
channels=6
filters=6
filterSize=3
padding=1
initW=0.3
[norm]
type=cmrnorm
inputs=conv2
channels=6
size=3
[pool]
type=pool
pool=max
inputs=norm
channels=6
sizeX=3
stride=2
[fc1]
type=fc
inputs=pool
outputs=9
initW=0.3
neuron=tanh[1.5,0.7]
[drop]
type=dropout2
inputs=fc1
[again]
type=fc
inputs=drop
outputs=9
initW=0.3
[twice]
type=fc
inputs=again
outputs=9
weightSource=again
neuron=relu
[fc2]
type=fc
inputs=twice
outputs=4
initW=0.3
{COST}gpu=GPUS
"""
PARAMS = (
    f"[conv1]\n{RATES}[conv2]\n{RATES}wball=1.5\n[norm]\nscale=2\npow=0.75\n[fc1]\n{RATES}updatePeriod=PERIOD\n"
    f"[again]\n{RATES}[twice]\n{RATES}[fc2]\n{RATES}[drop]\nkeep=0.6\n[logprob]\ncoeff=1.5\n"
)
CASES = (8, 8, 7, 3, 8)  # the last part of 7 cases is short, and of 3 cases in four parts the last one is empty


def minibatches(cases=CASES, classes=4):
    random = np.random.default_rng(0)
    drawn = [[random.standard_normal((n, 7, 5, 3)), random.integers(0, classes, (n, 1))] for n in cases]
    return [[values.astype(np.float32) for values in data] for data in drawn]


def on_cpu(number):
    return open_devices(DeviceOptions("cpu", threads=2), number)


def trained(layers, params, devices, dtype=np.float64, image=(3, 7, 5)):
    """A net after a step with each minibatch, and the costs of all steps and tests."""
    net = ConvNet(graph_of(layers, params, image=image), devices, mini=8, seed=3, dtype=dtype)
    return net, [
        value
        for data in minibatches()
        for costs in (net.train_minibatch(data), net.test_minibatch(data))
        for value in costs["logprob"].values()
    ]


def assert_equal_nets(found, expected, tolerance):
    (net, costs), (other, other_costs) = found, expected
    np.testing.assert_allclose(costs, other_costs, rtol=tolerance)
    state, wanted = ({n: v for n, v in one.state().items() if ".grad." not in n} for one in (net, other))
    assert state.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.abs(state[name] - values).max() <= tolerance * np.abs(values).max(), name


def replicas_of(net):
    """Of each parameter the arrays that its devices have, one for each space."""
    held = net.store._held.values()
    for parameter, space in itertools.product(net.graph.parameters, ("weights", "increments")):
        yield parameter.name, [one.device.download(one.of(space, parameter)) for one in held if parameter in one.layout]


TOWERS = f"""{DATA}
[conv1a]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
initW=0.3
gpu=0
neuron=relu
[conv1b]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
initW=0.3
gpu=1
neuron=abs
[conv2a]
type=conv
inputs=conv1a,conv1b
channels=4,4
filters=3,3
filterSize=3,3
initW=0.3,0.3
gpu=0
neuron=relu
[conv2b]
type=conv
inputs=conv1b,conv1a
channels=4,4
filters=3,3
filterSize=3,3
initW=0.3,0.3
gpu=1
[fc1a]
type=fc
inputs=conv2a,conv2b
outputs=6
initW=0.3,0.3
gpu=0
[drop]
type=dropout
inputs=fc1a
gpu=1
[fc1b]
type=fc
inputs=conv2b
outputs=6
initW=0.3
gpu=1
[act]
type=neuron
inputs=fc1b
neuron=tanh[1.2,0.9]
gpu=0
[fc2]
type=fc
inputs=drop,act,conv2a
outputs=4
initW=0.3,0.3,0.3
gpu=0
{COST}gpu=1
"""
TOWERS_PARAMS = "".join(
    f"[{name}]\n{SLOW}" for name in ("conv1a", "conv1b", "conv2a", "conv2b", "fc1a", "fc1b", "fc2")
) + "[drop]\nkeep=0.7\n[logprob]\n"


# The numbers of replicas go from four to two to one.
MIXED = f"""{DATA}
[wide]
type=fc
inputs=data
outputs=7
initW=0.4
neuron=tanh[1.2,0.8]
gpu=0,1,2,3
[middle]
type=fc
inputs=wide
outputs=6
initW=0.4
neuron=tanh[1.1,0.9]
gpu=1,3
[lefta]
type=fc
inputs=middle
outputs=5
initW=0.4
gpu=0
[leftb]
type=fc
inputs=middle
outputs=5
initW=0.4
gpu=2
[both]
type=pass
inputs=lefta,leftb
gpu=2
[fc2]
type=fc
inputs=both
outputs=4
initW=0.4
{COST}"""
MIXED_PARAMS = f"[wide]\n{RATES}[middle]\n{RATES}[lefta]\n{RATES}[leftb]\n{RATES}[fc2]\n{RATES}updatePeriod=UPDATE\n"
