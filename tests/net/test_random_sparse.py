"""Random sparse connectivity: which channels the groups of filters see, and that they stay the same."""

import sys

import numpy as np
import pytest

from convnet import ops
from convnet.config.report import ConfigError
from convnet.net import ConvNet
from convnet.weights.connections import drawn
from tests.ops import reference_conv

from .nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
BASE = "[base]\ntype=conv\ninputs=data\nchannels=3\nfilters=8\nfilterSize=1\ninitW=0.5\n"
WINDOWS = "channels=8\nfilters=3\nfilterSize=3\nstride=2\npadding=1\ninitW=0.3\n"
SPARSE = f"{WINDOWS}groups=6\nrandSparse=true\nfilterChannels=4\n"
COST = "[cost]\ntype=cost.sum2\ninputs={}\n"


def net_of(layers, device, names=("base", "x"), seed=3, **options):
    params = "".join(f"[{name}]\n{RATES}" for name in names)
    graph = graph_of(DATA.partition("[labels]")[0] + layers, params, image=(3, 7, 6))
    return ConvNet(graph, device, mini=5, seed=seed, **options)


def sparse_net(device, kind="conv", seed=3, extra="", **options):
    layers = f"{BASE}[x]\ntype={kind}\ninputs=base\n{SPARSE}{extra}{COST.format('x')}"
    return net_of(layers, device, seed=seed, **options)


def images(cases=5):
    return [np.random.default_rng(1).standard_normal((cases, 7, 6, 3))]


@pytest.mark.parametrize(("groups", "channels", "each"), [(6, 8, 4), (3, 5, 5), (2, 16, 8), (7, 1, 1)])
def test_connections_are_permutations_one_after_the_other(groups, channels, each):
    found = drawn(5, "conv1", 0, groups, channels, each)
    assert (found.shape, found.dtype) == ((groups, each), np.int32)
    for permutation in found.reshape(-1, channels):
        assert sorted(permutation) == list(range(channels))


def test_what_connections_depend_on():
    first = drawn(5, "conv1", 0, 6, 32, 16)
    assert np.array_equal(drawn(5, "conv1", 0, 6, 32, 16), first)
    others = [drawn(6, "conv1", 0, 6, 32, 16), drawn(5 + 2**32, "conv1", 0, 6, 32, 16),
              drawn(5, "conv2", 0, 6, 32, 16), drawn(5, "conv1", 1, 6, 32, 16)]  # fmt: skip
    found = [first, *others]
    assert len({table.tobytes() for table in found}) == len(found)
    halves = first.reshape(3, 32)
    assert len({half.tobytes() for half in halves}) == 3
    # For good: a checkpoint keeps them, but what a seed gives should not change either.
    assert drawn(5, "conv1", 0, 2, 6, 3).tolist() == PINNED


PINNED = [[1, 3, 2], [4, 0, 5]]


def test_every_place_is_equally_likely():
    """In 4000 permutations of 5, each channel is in each place 800 times, give or take 5 standard deviations of 25."""
    found = drawn(1, "x", 0, 4000, 5, 5)
    for channel in range(5):
        assert np.abs((found == channel).sum(axis=0) - 800).max() < 127


@pytest.mark.parametrize("kind", ["conv", "local"])
def test_filters_see_the_channels_of_their_connections(device, kind):
    """The cost, the sum of squares of all outputs, from loops over what the connections name."""
    net = sparse_net(device, kind, dtype=np.float64)
    state, (data,) = net.state(), images()
    base = np.einsum("nyxc,cf->nyxf", data, state["base.weights.0"])
    connections, layer = state["x.connections.0"], net.graph["x"].layer
    geometry = layer.geometries[0]
    assert connections.shape == (6, 4)
    assert len({tuple(sorted(group)) for group in connections.tolist()}) > 2, "nothing to tell apart"
    memory = np.concatenate([base[..., group] for group in connections], axis=-1)
    weights = ops.load(kind, "cpu").weights_to_memory(state["x.weights.0"], geometry)
    y = reference_conv.fprop(memory, weights, geometry, own_filters=kind == "local")
    assert net.compute_costs([data])["cost"]["cost"] == pytest.approx((y**2).sum(), rel=1e-9)


def test_the_weights_of_one_filter_are_those_of_the_channels_it_sees(device):
    graph = sparse_net(device).graph
    assert graph["x"].layer.weights[0].shape == (4 * 9, 18)
    assert sparse_net(device, "local").graph["x"].layer.weights[0].shape == (16 * 4 * 9, 18)
    assert graph.size == 24 + 8 + 36 * 18 + 18


def test_a_state_brings_its_connections(device):
    """Into a net of another seed, also after that one has run."""
    net, other, data = sparse_net(device), sparse_net(device, seed=4), images()
    state = net.state()
    assert not np.array_equal(other.state()["x.connections.0"], state["x.connections.0"])
    other.compute_costs(data)
    other.set_state(state)
    assert np.array_equal(other.state()["x.connections.0"], state["x.connections.0"])
    assert other.compute_costs(data) == net.compute_costs(data)
    assert other.train_minibatch(data) == net.train_minibatch(data)
    for name, values in net.state().items():
        assert np.array_equal(other.state()[name], values), name


@pytest.mark.parametrize(("connections", "message"), [
    (None, "expected 'x.connections.0' of shape"), (np.zeros((6, 4), np.int32), "'x.connections.0': expected a perm"),
    (np.zeros((6, 4)), "'x.connections.0': expected integers"), (np.arange(8), "'x.connections.0': expected 24 int"),
])  # fmt: skip
def test_states_without_the_nets_connections(device, connections, message):
    net = sparse_net(device)
    state = {name: values for name, values in net.state().items() if "connections" not in name}
    if connections is not None:
        state["x.connections.0"] = connections
    with pytest.raises(ValueError, match=message):
        net.set_state(state)


def test_a_net_without_them_has_none(device):
    net = net_of(BASE + COST.format("base"), device, ("base",))
    assert not any("connections" in name for name in net.state())


MODULE = """
import numpy as np
calls = []
def reversed_channels(name, index, sizes, params):
    groups, channels, each = sizes
    calls.append((name, index, sizes, params))
    found = list(range(channels))[::-1] * (groups * each // channels)
    return found if not params else np.array(found, params[0]).reshape(groups, each)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_connections.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "own_connections"
    sys.modules.pop("own_connections", None)


@pytest.mark.parametrize("arguments", ["", "(uint8)", "(int64)"])
def test_a_function_may_give_them(device, module, arguments):
    net = sparse_net(device, extra=f"initCFunc={module}.reversed_channels{arguments}\n")
    assert net.state()["x.connections.0"].tolist() == [[7, 6, 5, 4], [3, 2, 1, 0]] * 3
    assert sys.modules[module].calls == [("x", 0, (6, 8, 4), [arguments.strip("()")] if arguments else [])]


def test_the_function_is_not_called_for_a_net_that_gets_its_weights_elsewhere(device, module):
    net = sparse_net(device, extra=f"initCFunc={module}.reversed_channels\n", initial=False)
    assert module not in sys.modules
    assert sorted(net.state()["x.connections.0"].reshape(3, 8)[0]) == list(range(8))


def test_functions_that_do_not_do_are_named_together_with_their_lines(device, module):
    with pytest.raises(ConfigError) as caught:
        sparse_net(device, extra=f"initCFunc={module}.reversed_channels(float32)\ninitWFunc={module}.missing\n")
    first, *_ = str(caught.value).splitlines()
    assert first.startswith("layers.cfg:")
    assert first.endswith("[x] initCFunc: expected integers, found float32")


def shared(own=""):
    return (f"{BASE}[x]\ntype=conv\ninputs=base,base\n{SPARSE}weightSource=,x\n"
            f"[y]\ntype=conv\ninputs=base\n{SPARSE}weightSource=x[1]\n{own}"
            f"[both]\ntype=concat\ninputs=x,y\n{COST.format('both')}")  # fmt: skip


def test_a_shared_matrix_has_the_same_connections(device):
    state = net_of(shared(), device, ("base", "x", "y")).state()
    for name in ("x.connections.1", "y.connections.0"):
        assert np.array_equal(state[name], state["x.connections.0"])
    assert "y.weights.0" not in state


def test_a_shared_matrix_with_connections_of_its_own(device, module):
    state = net_of(shared(f"initCFunc={module}.reversed_channels\n"), device, ("base", "x", "y")).state()
    assert np.array_equal(state["x.connections.1"], state["x.connections.0"])
    assert state["y.connections.0"].tolist() == [[7, 6, 5, 4], [3, 2, 1, 0]] * 3
