"""The steps of a plan: which operations run, in which order, and what they add up."""

import numpy as np
import pytest

from convnet.layers import layer_types
from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from convnet.plan.blocks import works_in_place
from convnet.plan.step import BPROP, UPDATE
from tests.layers.examples import EXAMPLES, example
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\nwc=0.05\n"
FIXED = "epsW=0\nepsB=0\nmomW=0.9\nmomB=0.8\nwc=0.05\n"
COST = "[probs]\ntype=softmax\ninputs=fc\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
CONV = "type=conv\nchannels=3\nfilters=4\nfilterSize=3\ninitW=0.3\n"
LAYERS = f"{DATA}[conv]\n{CONV}inputs=data\nneuron=relu\n[fc]\ntype=fc\ninputs=conv\noutputs=5\ninitW=0.2\n{COST}"
PARAMS = f"[conv]\n{RATES}[fc]\n{RATES}"


def net_of(layers, params, device, **options):
    return ConvNet(graph_of(layers, params, image=(3, 7, 5)), device, mini=6, seed=1, dtype=np.float64, **options)


def a_minibatch(cases=6, classes=5, seed=0):
    random = np.random.default_rng(seed)
    return [random.standard_normal((cases, 7, 5, 3)), random.integers(0, classes, (cases, 1)).astype(float)]


def printed(steps):
    return [f"{step.phase} {step.layer} {step.operation}".replace("  ", " ") for step in steps]


def test_the_steps_of_a_small_net(device):
    """The neuron and the biases go with the convolution; nothing goes back into the data."""
    plan = net_of(LAYERS, PARAMS + "wball=2\n", device).bound.plan
    forward = [
        "fprop conv conv.fprop",
        "fprop fc layout.convert",  # from (y, x, channel) to the features in cuda-convnet's order
        "fprop fc matmul.fprop",
        "fprop probs softmax.fprop",
        "fprop logprob logreg.fprop",
    ]
    assert printed(plan.test) == forward
    assert printed(plan.train) == [
        *forward,
        "bprop logprob logreg.bprop_softmax",
        "bprop probs eltwise.scale",
        "bprop fc bias.bprop",
        "bprop fc matmul.bprop_weights",
        "bprop fc matmul.bprop_acts",
        "bprop fc layout.convert",
        "bprop conv_neuron neuron.bprop",
        "bprop conv bias.bprop",
        "bprop conv conv.bprop_weights",
        "update update.momentum",
        "update fc update.wball",
    ]
    fused = plan.train[0].parameters
    assert fused["neuron"].name == "relu"
    assert fused["bias"] is not None


def test_with_gradients_of_the_data(device):
    plan = net_of(LAYERS, PARAMS, device, input_grads=True).bound.plan
    assert "bprop conv conv.bprop_acts" in printed(plan.train)
    assert set(plan.gradients) == {"data"}


def test_weights_that_do_not_learn_get_no_gradient_and_no_update(device):
    """epsW=0: not even decay or momentum. What lies above and below still learns."""
    params = f"[conv]\n{RATES}[fc]\n{FIXED}"
    net = net_of(LAYERS, params, device)
    steps = printed(net.bound.plan.train)
    assert "bprop fc matmul.bprop_weights" not in steps
    assert "bprop fc bias.bprop" not in steps
    assert "bprop fc matmul.bprop_acts" in steps
    random = np.random.default_rng(0)
    net.set_state({name: random.standard_normal(value.shape) for name, value in net.state().items()})
    before = net.state()
    for _ in range(3):
        net.train_minibatch(a_minibatch())
    after = net.state()
    for name in before:
        same = np.array_equal(before[name], after[name])
        assert same == name.startswith("fc"), name


def test_no_gradient_goes_where_nothing_learns(device):
    steps = printed(net_of(LAYERS, f"[conv]\n{FIXED}[fc]\n{RATES}", device).bound.plan.train)
    assert "bprop fc matmul.bprop_weights" in steps
    assert "bprop fc matmul.bprop_acts" not in steps
    assert not any(step.startswith("bprop conv") for step in steps)


def test_a_net_that_learns_nothing_has_neither_bprop_nor_update(device):
    plan = net_of(LAYERS, f"[conv]\n{FIXED}[fc]\n{FIXED}", device).bound.plan
    assert {step.phase for step in plan.train} == {"fprop"}


def test_biases_alone_may_learn(device):
    biases_only = RATES.replace("epsW=0.1", "epsW=0")
    steps = printed(net_of(LAYERS, f"[conv]\n{biases_only}[fc]\n{biases_only}", device).bound.plan.train)
    assert "bprop conv bias.bprop" in steps
    assert "bprop conv conv.bprop_weights" not in steps


BRANCHES = f"""{DATA}
[base]
{CONV}inputs=data
[a]
type=neuron
inputs=base
neuron=tanh[1,1]
[b]
type=pool
inputs=base
pool=max
channels=4
sizeX=2
stride=1
[c]
type=neuron
inputs=base
neuron=square
[fc]
type=fc
inputs=a,b,base,c
outputs=5
initW=0.2
{COST}"""


def writers(plan, name):
    """(layer, whether it adds) of each step of bprop that writes the block of this name."""
    found = []
    for step in plan.train:
        targets = [t for t in step.tensors() if t.memory.name == name]
        if step.phase == BPROP and targets and "accumulate" in step.parameters and step.layer != name.split(".")[0]:
            found.append((step.layer, step.parameters["accumulate"]))
    return found


def test_the_first_of_several_consumers_writes_and_the_others_add(device):
    net = net_of(BRANCHES, f"[base]\n{RATES}[fc]\n{RATES}", device)
    assert writers(net.bound.plan, "base.grad") == [("fc", False), ("c", True), ("b", True), ("a", True)]
    for check in check_gradients(net, a_minibatch()):
        assert check.error < 1e-7, check


def test_a_layer_that_reads_one_input_in_two_ways(device):
    """As 4 maps of 4x4, whose gradient must be brought into another order, and as 1 map of 8x8, whose need not."""
    layers = f"""{DATA}
[base]
type=fc
inputs=data
outputs=64
initW=0.1
[conv]
type=conv
inputs=base,base
channels=CHANNELS
filters=3
filterSize=SIZES
stride=STRIDES
initW=0.4
[fc]
type=fc
inputs=conv
outputs=5
initW=0.3
{COST}"""
    for order in (1, -1):
        text = layers
        for word, values in {"CHANNELS": "41", "SIZES": "12", "STRIDES": "12"}.items():
            text = text.replace(word, ",".join(values[::order]))
        net = net_of(text, f"[base]\n{RATES}[conv]\n{RATES}[fc]\n{RATES}", device)
        for check in check_gradients(net, a_minibatch()):
            assert check.error < 1e-7, (order, check)


SHARED = f"""{DATA}
[one]
{CONV}inputs=data
[two]
{CONV}inputs=data
weightSource=one
[sum]
type=eltsum
inputs=one,two
[last]
type=conv
inputs=sum,two
channels=4
filters=4
filterSize=1
initW=0.3
WEIGHTS
[fc]
type=fc
inputs=last
outputs=5
initW=0.3
{COST}"""


def test_gradients_of_shared_weights_are_summed(device):
    """Beside the same net in which every layer has weights of its own, with the same values."""
    params = "".join(f"[{name}]\n{RATES}" for name in ("one", "two", "last", "fc"))
    shared = net_of(SHARED.replace("WEIGHTS", "weightSource=,last"), params, device)
    own = net_of(SHARED.replace("WEIGHTS", "").replace("weightSource=one\n", ""), params, device)
    names = {"two.weights.0": "one.weights.0", "last.weights.1": "last.weights.0"}
    state = shared.state()
    assert not set(names) & set(state), "a shared matrix is held twice"
    own.set_state({**state, **{f"{name}{inc}": state[f"{names[name]}{inc}"] for name in names for inc in ("", ".inc")}})
    data = a_minibatch(5)
    assert shared.compute_gradients(data) == own.compute_gradients(data)
    for name, value in gradients(shared).items():
        users = [name, *(user for user, source in names.items() if source == name)]
        parts = [gradients(own)[user] for user in users]
        assert all(np.abs(part).max() > 1e-3 for part in parts)
        np.testing.assert_allclose(value, sum(parts), rtol=1e-11, atol=1e-12, err_msg=name)


def gradients(net):
    return {parameter.name: net.store.get("gradients", parameter) for parameter in net.graph.parameters}


def test_shared_weights_are_updated_once(device):
    net = net_of(SHARED.replace("WEIGHTS", "weightSource=,last"), "".join(
        f"[{name}]\n{RATES}wball=0.7\n" for name in ("one", "two", "last", "fc")), device)  # fmt: skip
    updates = [step for step in net.bound.plan.train if step.phase == UPDATE]
    assert [(step.operation, step.layer) for step in updates] == [
        ("update.momentum", ""), ("update.wball", "one"), ("update.wball", "last"), ("update.wball", "fc"),
    ]  # fmt: skip


NEURONS = f"""{DATA}
[conv]
{CONV}inputs=data
[neuron]
type=neuron
inputs=BELOW
neuron=FUNCTION
[more]
type=neuron
inputs=neuron
neuron=abs
[fc]
type=fc
inputs=moreALSO
outputs=5
initW=0.2
{COST}"""


@pytest.mark.parametrize(("function", "below", "also", "expected"), [
    ("relu", "conv", "", True),
    ("tanh[1.5,0.5]", "conv", "", True),
    ("square", "conv", "", False),  # its derivative needs the input
    ("abs", "conv", "", False),
    ("relu", "conv", ",conv", False),  # somebody else reads the input
    ("relu", "data", ",conv", False),  # the data is not ours to overwrite
])  # fmt: skip
def test_which_neurons_work_in_place(device, function, below, also, expected):
    layers = NEURONS.replace("BELOW", below).replace("FUNCTION", function).replace("ALSO", also)
    net = net_of(layers, PARAMS, device)
    node = net.graph["neuron"]
    assert works_in_place(node) == expected
    assert ("fprop neuron neuron.fprop" in printed(net.bound.plan.test)) != expected
    assert not works_in_place(net.graph["more"])
    for check in check_gradients(net, a_minibatch()):
        assert check.error < 1e-6, check


def with_neuron(name, neuron):
    """The example with this neuron behind the layer under test."""
    layers, params = example(name)
    before, section, after = layers.partition("[x]\n")
    own, bracket, rest = after.partition("\n[")
    lines = [line for line in own.splitlines() if not line.startswith("neuron=")]
    return before + section + "\n".join([*lines, f"neuron={neuron}"]) + bracket + rest, params


# Those that pass no gradient have weights above them only.
TAKE_NEURONS = [
    name for name, (kind, *_) in EXAMPLES.items()
    if layer_types()[kind].takes_neuron and layer_types()[kind].passes_gradient
]  # fmt: skip


@pytest.mark.parametrize("neuron", ["tanh[1.5,0.7]", "square"])
@pytest.mark.parametrize("name", TAKE_NEURONS)
def test_a_neuron_behind_any_layer_leaves_what_the_layer_needs(device, name, neuron):
    """One that could work in place, and one that could not."""
    net = net_of(*with_neuron(name, neuron), device, input_grads=True)
    assert "x_neuron" in net.graph
    for check in check_gradients(net, a_minibatch(4, classes=4, seed=2)):
        assert abs(check.analytic) > 1e-7, f"{check.name}: nothing to compare"
        assert check.error < 1e-6, check
