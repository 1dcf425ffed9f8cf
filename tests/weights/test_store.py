"""Where parameters lie, and that what is set comes back."""

import numpy as np
import pytest

from convnet.shape import Maps
from convnet.weights.layout import ParameterLayout
from convnet.weights.parameter import Matrix, Parameter
from convnet.weights.schedule import Progress, parse_schedule
from convnet.weights.store import SPACES, WeightStore
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\nwc=0.01\n"
# Not square, two groups, three inputs' channels; the local layer and the unshared biases have 5x3 windows.
LAYERS = (
    DATA
    + """
[conv]
type=conv
inputs=data
channels=4
filters=3
groups=2
filterSize=3
padding=1
[free]
type=conv
inputs=conv
channels=6
filters=5
filterSize=2
stride=2
sharedBiases=false
[local]
type=local
inputs=conv
channels=6
filters=1
groups=3
filterSize=3
stride=2
padding=1
[fc]
type=fc
inputs=free,local
outputs=7
neuron=relu
[last]
type=fc
inputs=fc
outputs=2
[probs]
type=softmax
inputs=last
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
PARAMS = "".join(f"[{name}]\n{RATES}" for name in ("conv", "free", "local", "fc", "last"))
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38]


@pytest.fixture(scope="module")
def graph():
    return graph_of(LAYERS, PARAMS, image=(4, 9, 5))


def values_for(parameter, dtype, seed=0):
    """Numbers that all differ, and among them those that arithmetic would change."""
    size = parameter.matrix.size
    values = np.random.default_rng(seed).permutation(size).astype(dtype)
    with np.errstate(over="ignore"):
        values[: min(size, len(SPECIAL))] = np.array(SPECIAL[:size], dtype)
    return values.reshape(parameter.matrix.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("space", ["weights", "increments"])
def test_what_is_set_comes_back_bit_for_bit(graph, device, dtype, space):
    store = WeightStore({0: ParameterLayout(graph.parameters)}, {0: device}, dtype)
    shapes = {parameter.name: parameter.matrix.shape for parameter in graph.parameters}
    assert shapes == {
        "conv.weights.0": (18, 6), "conv.biases": (6, 1), "free.weights.0": (24, 5), "free.biases": (5 * 5 * 3, 1),
        "local.weights.0": (15 * 18, 3), "local.biases": (15 * 3, 1), "fc.weights.0": (75, 7), "fc.weights.1": (45, 7),
        "fc.biases": (1, 7), "last.weights.0": (7, 2), "last.biases": (1, 2),
    }  # fmt: skip
    given = {p: values_for(p, dtype, seed) for seed, p in enumerate(graph.parameters)}
    for parameter, values in given.items():
        store.set(space, parameter, values)
    for parameter, values in given.items():
        found = store.get(space, parameter)
        assert found.dtype == dtype
        assert found.tobytes() == values.tobytes(), parameter.name
    other = next(name for name in SPACES if name != space)
    assert not any(store.get(other, parameter).any() for parameter in graph.parameters)


def test_get_gives_a_copy(graph, device):
    store = WeightStore({0: ParameterLayout(graph.parameters)}, {0: device}, "float32")
    for parameter in graph.parameters:
        store.get("weights", parameter)[:] = 1
        assert not store.get("weights", parameter).any(), parameter.name


def in_memory(graph, device, name):
    """A parameter's numbers 0, 1, 2 ... in cuda-convnet's order, as they lie in memory."""
    store = WeightStore({0: ParameterLayout(graph.parameters)}, {0: device}, "float64")
    parameter = {p.name: p for p in graph.parameters}[name]
    matrix = parameter.matrix
    store.set("weights", parameter, np.arange(matrix.size, dtype=np.float64).reshape(matrix.shape))
    return store.array("weights", 0, store.layouts[0].begin(parameter), (matrix.size,))


def test_order_of_conv_filters_in_memory(graph, device):
    """(i, j, c) for cuda-convnet's (c, i, j): what the operation's contract says."""
    expected = [((c * 3 + i) * 3 + j) * 6 + f for i in range(3) for j in range(3) for c in range(2) for f in range(6)]
    assert in_memory(graph, device, "conv.weights.0").tolist() == expected


def test_order_of_local_filters_in_memory(graph, device):
    expected = [
        (((m * 2 + c) * 3 + i) * 3 + j) * 3 + f
        for m in range(15) for i in range(3) for j in range(3) for c in range(2) for f in range(3)
    ]  # fmt: skip
    assert in_memory(graph, device, "local.weights.0").tolist() == expected


@pytest.mark.parametrize(("name", "filters"), [("free.biases", 5), ("local.biases", 3)])
def test_order_of_unshared_biases_in_memory(graph, device, name, filters):
    """(module, filter) for cuda-convnet's filter * modules + module."""
    modules = 15
    expected = [f * modules + m for m in range(modules) for f in range(filters)]
    assert in_memory(graph, device, name).tolist() == expected


@pytest.mark.parametrize("name", ["conv.biases", "fc.weights.1", "fc.biases"])
def test_the_rest_lies_as_it_is(graph, device, name):
    found = in_memory(graph, device, name)
    assert found.tolist() == list(range(len(found)))


def parameter(layer, rows, columns, index=0, **options):
    return Parameter(layer, index, Matrix(rows, columns), parse_schedule(options.pop("eps", "0.1")), 0.9, **options)


def test_layout_gives_each_parameter_room_of_its_own():
    sizes = [(3, 5), (16, 1), (1, 1), (7, 9), (2, 8), (1, 17)]
    parameters = [parameter(f"l{number}", *size) for number, size in enumerate(sizes)]
    layout = ParameterLayout(parameters)
    taken = np.zeros(layout.size, int)
    for one, (begin, end) in zip(parameters, layout.offsets.tolist(), strict=True):
        assert layout.begin(one) == begin
        assert begin % 16 == 0, "vectors begin at cache lines"
        assert end - begin == one.matrix.size
        taken[begin:end] += 1
    assert taken.max() == 1
    assert layout.size == 16 + 16 + 16 + 64 + 16 + 32
    assert ParameterLayout([]).size == 0


def test_rates_are_those_of_the_schedules_now():
    layout = ParameterLayout([
        parameter("a", 2, 2, eps="linear[base=0.4;tgtFactor=4]", decay=0.03, nesterov=True),
        parameter("b", 2, 2, index=None, eps="0"),
    ])  # fmt: skip
    held = layout.rates
    layout.set_rates(Progress(0.5), 32)
    assert layout.rates is held, "the update has this array"
    np.testing.assert_allclose(held, [[0.25, 0.9, 0.03, 1 / 32, 1], [0.0, 0.9, 0.0, 1 / 32, 0]], rtol=1e-15)
    layout.set_rates(Progress(1.0), 7)
    np.testing.assert_allclose(held, [[0.1, 0.9, 0.03, 1 / 7, 1], [0.0, 0.9, 0.0, 1 / 7, 0]], rtol=1e-15)


def test_names_of_parameters():
    assert parameter("conv1", 2, 3, index=1).name == "conv1.weights.1"
    assert parameter("conv1", 1, 3, index=None).name == "conv1.biases"
    assert parameter("a", 1, 1, eps="0.1").learns
    assert not parameter("a", 1, 1, eps="exp[base=0;tgtFactor=9]").learns
    assert Matrix(3, 4).size == 12
    assert Matrix(15, 1, maps=Maps(5, 3, 1)).shape == (15, 1)
