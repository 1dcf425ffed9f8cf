"""The initial weights of whole nets."""

import sys

import numpy as np
import pytest

from convnet.config.report import ConfigError
from convnet.net import ConvNet

from .nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
COST = "[probs]\ntype=softmax\ninputs=last\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
CONV = "type=conv\nchannels=3\nfilters=40\nfilterSize=5\npadding=2\n"
LAYERS = f"""{DATA}
[conv]
{CONV}inputs=data
initW=0.3
initB=-0.25
[extra]
{CONV}inputs=data
[last]
type=fc
inputs=conv,extra
outputs=5
initW=0.1,0.002
{COST}"""


def state_of(layers, device, seed=0, names=("conv", "extra", "last"), **options):
    params = "".join(f"[{name}]\n{RATES}" for name in names)
    return ConvNet(graph_of(layers, params), device, mini=4, seed=seed, **options).state()


def test_deviations_and_biases_are_those_of_the_file(device):
    state = state_of(LAYERS, device)
    for name, deviation in {"conv.weights.0": 0.3, "extra.weights.0": 0.01, "last.weights.0": 0.1,
                            "last.weights.1": 0.002}.items():  # fmt: skip
        weights = state[name].astype(float)
        bound = 4 * deviation / weights.size**0.5
        assert abs(weights.mean()) < bound, name
        assert abs(weights.std() - deviation) < bound, name
    assert np.all(state["conv.biases"] == -0.25)
    assert not state["extra.biases"].any()
    assert not any(value.any() for name, value in state.items() if name.endswith(".inc"))


def test_the_seed_decides(device):
    first, again, other = state_of(LAYERS, device, 3), state_of(LAYERS, device, 3), state_of(LAYERS, device, 4)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for name in ("conv.weights.0", "extra.weights.0", "last.weights.0", "last.weights.1"):
        assert not np.array_equal(first[name], other[name])
    doubles = state_of(LAYERS, device, 3, dtype=np.float64)
    assert all(np.array_equal(first[name], doubles[name]) for name in first)


def test_other_layers_do_not_change_a_layers_weights(device):
    """Neither one more layer, nor another order of the layers."""
    alone = LAYERS.replace("inputs=conv,extra", "inputs=conv").replace("initW=0.1,0.002", "initW=0.1")
    alone = alone.replace(f"[extra]\n{CONV}inputs=data\n", "")
    assert "extra" not in alone
    conv, rest = LAYERS[LAYERS.index("[conv]") :].split("[extra]")
    swapped = LAYERS[: LAYERS.index("[conv]")] + "[extra]" + rest.replace("[last]", f"{conv}[last]")
    state = state_of(LAYERS, device)
    for other in (state_of(alone, device, names=("conv", "last")), state_of(swapped, device)):
        for name in ("conv.weights.0", "conv.biases", "last.weights.0"):
            assert np.array_equal(other[name], state[name]), name


def test_layers_with_one_shape_differ(device):
    state = state_of(LAYERS.replace("initW=0.3", "initW=0.01"), device)
    assert abs(np.corrcoef(state["conv.weights.0"].ravel(), state["extra.weights.0"].ravel())[0, 1]) < 0.1


MODULE = """
import numpy as np
def weights(name, index, shape, params):
    return (np.arange(shape[0] * shape[1], dtype=np.float32) + 1000 * index + float(params[0])).reshape(shape)
def biases(name, shape, params=None):
    return np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
def wrong(name, *arguments, params):
    return np.zeros((1, 1), np.float32)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_init_net.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "own_init_net"
    sys.modules.pop("own_init_net", None)


FUNCTIONS = f"""{DATA}
[conv]
type=KIND
inputs=data
channels=3
filters=2
filterSize=3
SHARING
initWFunc=own_init_net.weights(0.5)
initBFunc=own_init_net.biases
[last]
type=fc
inputs=conv,data
outputs=5
initWFunc=own_init_net.weights(3)
{COST}"""


@pytest.mark.parametrize(("kind", "sharing", "weights", "biases"), [
    ("conv", "", (27, 2), (2, 1)), ("conv", "sharedBiases=no", (27, 2), (160, 1)), ("local", "", (2160, 2), (160, 1)),
])  # fmt: skip
def test_functions_give_and_checkpoints_hold_the_originals_shapes(device, module, kind, sharing, weights, biases):
    """In the originals' order: what the function gives is what `state` shows."""
    state = state_of(FUNCTIONS.replace("KIND", kind).replace("SHARING", sharing), device, names=("conv", "last"))
    assert np.array_equal(state["conv.weights.0"], (np.arange(np.prod(weights)) + 0.5).reshape(weights))
    assert np.array_equal(state["conv.biases"], np.arange(biases[0])[:, None])
    assert np.array_equal(state["last.weights.1"], (np.arange(360 * 5) + 1003.0).reshape(360, 5))
    assert state["last.biases"].shape == (1, 5)


BAD_FUNCTIONS = f"""{DATA}
[conv]
type=conv
inputs=data
channels=3
filters=2
filterSize=3
initBFunc=own_init_net.wrong
initWFunc=own_init_net.weights(half)
[last]
type=fc
inputs=conv,data
outputs=5
initWFunc=own_init_net.wrong
{COST}"""


def test_functions_that_do_not_do_are_named_together_with_their_lines(device, module):
    """In the order of lines, which is not that of the calls; each matrix of a layer for itself."""
    with pytest.raises(ConfigError) as caught:
        state_of(BAD_FUNCTIONS, device, names=("conv", "last"))
    first, last = (BAD_FUNCTIONS.splitlines().index(line) + 1 for line in ("[conv]", "[last]"))
    assert str(caught.value).splitlines() == [
        f"layers.cfg:{first + 6}: [conv] initBFunc: expected an array of shape (2, 1), found (1, 1)",
        f"layers.cfg:{first + 7}: [conv] initWFunc: 'weights' failed: "
        "ValueError(\"could not convert string to float: 'half'\")",
        f"layers.cfg:{last + 4}: [last] initWFunc: expected an array of shape (160, 5), found (1, 1)",
        f"layers.cfg:{last + 4}: [last] initWFunc: expected an array of shape (360, 5), found (1, 1)",
    ]


def test_a_shared_matrix_keeps_its_owners_values(device):
    text = LAYERS.replace("[extra]\n", "[extra]\ninitW=0.7\nweightSource=conv\n")
    state = state_of(text, device)
    assert "extra.weights.0" not in state
    assert np.array_equal(state["conv.weights.0"], state_of(LAYERS, device)["conv.weights.0"])
