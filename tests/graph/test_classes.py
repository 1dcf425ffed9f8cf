"""--classes gives a net another number of outputs."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.graph.classes import output_layer, with_classes
from convnet.shape import Shape
from tests.net.nets import DATA

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
NET = DATA + "[fc]\ntype=fc\ninputs=data\noutputs=1000\n[probs]\ntype=softmax\ninputs=fc\n"
COST = "[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
PARAMS = f"[fc]\n{RATES}[logprob]\ntopk=5\n"


def changed(classes, layers=NET + COST, params=PARAMS):
    report = Report()
    texts = parse(layers, "layers.cfg", report), parse(params, "params.cfg", report)
    layers, params = with_classes(*texts, classes, report)
    return build_graph(layers, params, [Shape.of_maps(1, 4, 4), Shape(1)], report)


@pytest.mark.parametrize(("classes", "guesses"), [(10, 5), (5, 5), (3, 3), (1, 1)])
def test_outputs_follow_and_guesses_stay_possible(classes, guesses):
    graph = changed(classes)
    assert graph["fc"].layer.shape.features == graph["probs"].layer.shape.features == classes
    assert graph["logprob"].layer.learning["topk"] == guesses


def test_a_net_without_one_such_layer():
    two = NET + COST + COST.replace("logprob", "other")
    with pytest.raises(Exception, match=r"layers\.cfg: --classes: expected one cost\.logreg over a softmax over an fc"):
        changed(3, two)


def test_which_layer_it_is():
    assert output_layer(parse(NET + COST, "x", Report())).name == "fc"
    assert output_layer(parse(NET, "x", Report())) is None
    assert output_layer(parse((NET + COST).replace("inputs=fc", "inputs=data"), "x", Report())) is None
