"""`dropout=p` on a layer: a layer of its own, below the neuron."""

import numpy as np
import pytest

from convnet.config.report import ConfigError
from convnet.net import ConvNet
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.9\n"
LAYERS = (
    DATA
    + """
[fc]
type=fc
inputs=data
outputs=400
initB=1
{fc}
[cost]
type=cost.sum2
inputs=fc
[also]
type=cost.sum2
inputs=labels
"""
)


def net_of(fc="", params="", more=""):
    return graph_of(LAYERS.format(fc=fc) + more, f"[fc]\n{RATES}{params}")


def chain(graph):
    """Names, types and inputs of the layers between the data and the first cost."""
    return [(n.name, n.layer.type, [below.name for below in n.inputs]) for n in graph.nodes[2:-2]]


@pytest.mark.parametrize(("fc", "params"), [("dropout=0.3", ""), ("", "dropout=0.3"), ("dropout=0.8", "Dropout=0.3")])
def test_either_file_has_it_and_the_parameter_file_wins(fc, params):
    graph = net_of(f"{fc}\nneuron=logistic", params)
    assert chain(graph) == [
        ("fc", "fc", ["data"]), ("fc_dropout", "dropout2", ["fc"]), ("fc_neuron", "neuron", ["fc_dropout"]),
    ]  # fmt: skip
    assert [node.name for node in graph["cost"].inputs] == ["fc_neuron"]
    assert graph["fc_dropout"].layer.learning == {"keep": 0.7, "enable": True}
    assert graph["fc_dropout"].layer.shape == graph["fc"].layer.shape


@pytest.mark.parametrize(("fc", "params"), [("", ""), ("dropout=0", ""), ("dropout=0.5", "dropout=0.0")])
def test_no_dropout_is_no_layer(fc, params):
    assert chain(net_of(fc, params)) == [("fc", "fc", ["data"])]


def test_the_name_gives_way_to_a_layer_of_the_file():
    more = "[fc_dropout]\ntype=fc\ninputs=fc\noutputs=2\ndropout=0.1\n[end]\ntype=cost.sum2\ninputs=fc_dropout\n"
    graph = graph_of(LAYERS.format(fc="dropout=0.5") + more, f"[fc]\n{RATES}[fc_dropout]\n{RATES}")
    names = [node.name for node in graph.nodes if node.layer.type == "dropout2"]
    assert names == ["fc_dropout.1", "fc_dropout_dropout"]


@pytest.mark.parametrize(("value", "found"), [("1", "'1'"), ("-0.1", "'-0.1'"), ("half", "'half'")])
def test_bad_probabilities(value, found):
    wanted = rf"\[fc\] dropout: expected a number of at least 0 and below 1, found {found}"
    with pytest.raises(ConfigError, match=wanted):
        net_of(params=f"dropout={value}\n")


@pytest.mark.parametrize("section", ["labels", "cost"])
def test_neither_data_nor_costs_take_it(section):
    layers = LAYERS.format(fc="").replace(f"[{section}]\n", f"[{section}]\ndropout=0.5\n")
    with pytest.raises(ConfigError, match=rf"\[{section}\] dropout: unknown key"):
        graph_of(layers, f"[fc]\n{RATES}")


def test_reading_the_layer_itself_is_advised():
    layers = LAYERS.format(fc="dropout=0.5").replace("inputs=fc\n", "inputs=fc_dropout\n")
    with pytest.raises(ConfigError, match="write 'fc': what reads it gets its dropout's output"):
        graph_of(layers, f"[fc]\n{RATES}")


def test_training_drops_before_the_neuron_and_a_test_multiplies(device):
    """linear[1,5] behind the dropout: what is dropped is 5, not 0."""
    graph = net_of("initW=0\ndropout=0.25\nneuron=linear[1,5]")
    net = ConvNet(graph, device, mini=8, seed=1, dtype=np.float64)
    data = [np.zeros((8, 12, 10, 3)), np.zeros((8, 1))]
    tested = net.test_minibatch(data)["cost"]["cost"] / (8 * 400)
    trained = net.compute_gradients(data)["cost"]["cost"] / (8 * 400)
    assert tested == pytest.approx(5.75**2, rel=1e-12)
    assert trained == pytest.approx(0.75 * 6**2 + 0.25 * 5**2, rel=0.02)
    assert trained != tested
