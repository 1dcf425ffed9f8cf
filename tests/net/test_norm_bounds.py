"""The norms of weights after an update, with wball and with wcNormMin and wcNormMax, beside loops over the columns."""

import numpy as np
import pytest

from convnet.net import ConvNet
from convnet.shape import Shape

from .nets import graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
WINDOWS = "channels=6\nfilters=2\nfilterSize=3\n"
SPARSE = "groups=6\nrandSparse=true\nfilterChannels=3\n"
# What each layer looks like, and how many equal parts of its rows have columns of their own.
LAYERS = {
    "fc": ("type=fc\noutputs=5\n", 1), "conv": (f"type=conv\n{WINDOWS}", 1),
    "conv in groups": (f"type=conv\n{WINDOWS}groups=3\n", 1),
    "conv with random sparse connectivity": (f"type=conv\n{WINDOWS}{SPARSE}", 1),
    "local": (f"type=local\n{WINDOWS}", 6), "local in groups": (f"type=local\n{WINDOWS}groups=3\n", 6),
    "local with random sparse connectivity": (f"type=local\n{WINDOWS}{SPARSE}", 6),
    "sfc": ("type=sfc\nparts=4\noutputs=5\n", 4),
}  # fmt: skip
DATA = np.random.default_rng(1).standard_normal((3, 4, 5, 6))


def net_of(device, layer, params):
    text = f"[data]\ntype=data\ndataIdx=0\n[x]\ninputs=data\ninitW=0.3\n{layer}[cost]\ntype=cost.sum2\ninputs=x\n"
    graph = graph_of(text, f"[x]\n{params}[cost]\ncoeff=0.01\n", [Shape.of_maps(6, 4, 5)])
    return ConvNet(graph, device, mini=3, seed=2, dtype=np.float64)


def trained(device, layer, params):
    """The weights of a layer after one update."""
    net = net_of(device, layer, f"{RATES}{params}")
    net.train_minibatch([DATA])
    return net.state()["x.weights.0"]


def columns(weights, parts):
    return weights.reshape(parts, -1, weights.shape[1])


@pytest.mark.parametrize("name", LAYERS)
def test_wball(device, name):
    """fc, conv and sfc to the norm exactly, local layers only down; each window, each part for itself."""
    layer, parts = LAYERS[name]
    free = columns(trained(device, layer, ""), parts)
    norms = np.sqrt((free**2).sum(axis=1))
    limit = float(np.median(norms))
    factors = np.minimum(limit / norms, 1) if "local" in name else limit / norms
    assert (norms < limit).any()
    found = columns(trained(device, layer, f"wball={limit!r}\n"), parts)
    np.testing.assert_allclose(found, free * factors[:, None], rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_the_largest_norm(device, name):
    """Of every type down only."""
    layer, parts = LAYERS[name]
    free = columns(trained(device, layer, ""), parts)
    norms = np.sqrt((free**2).sum(axis=1))
    limit = float(np.median(norms))
    assert (norms < limit).any()
    found = columns(trained(device, layer, f"wballMax={limit!r}\n"), parts)
    np.testing.assert_allclose(found, free * np.minimum(limit / norms, 1)[:, None], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("conv")])
def test_bounds_about_the_mean(device, name):
    layer, _ = LAYERS[name]
    free = trained(device, layer, "")
    found = np.array([np.sqrt(((column - column.mean()) ** 2).sum()) / len(column) for column in free.T])
    low, high = np.quantile(found, [0.33, 0.68]) if len(found) > 2 else (0.0, found.mean())
    expected = free * (np.clip(found, low, high) / found)
    bounds = f"wcNormMin={float(low)!r}\nwcNormMax={float(high)!r}\n"
    np.testing.assert_allclose(trained(device, layer, bounds), expected, rtol=1e-12)
    # Then the weight ball, which has the last word.
    both = trained(device, layer, f"{bounds}wball=0.7\n")
    np.testing.assert_allclose(both, 0.7 * expected / np.sqrt((expected**2).sum(axis=0)), rtol=1e-12)


def test_weights_that_do_not_learn_stay(device):
    layer, _ = LAYERS["conv"]
    params = f"{RATES.replace('epsW=0.1', 'epsW=0')}wball=0.1\nwcNormMax=0.001\n"
    net = net_of(device, layer, params)
    before = net.state()["x.weights.0"]
    net.train_minibatch([DATA])
    assert np.array_equal(net.state()["x.weights.0"], before)


def test_local_layers_have_no_such_bounds(device):
    """A note says so; cuda-convnet2 did not read the keys there either."""
    layer, _ = LAYERS["local"]
    assert np.array_equal(trained(device, layer, "wcNormMin=1\nwcNormMax=2\n"), trained(device, layer, ""))
