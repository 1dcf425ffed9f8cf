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


@pytest.mark.parametrize(("cost", "found"), [
    ("[x]\ntype=cost.crossent\ninputs=matrix,probs\n", True),
    ("[x]\ntype=cost.crossent2\ninputs=matrix,fc\n", True),
    ("[x]\ntype=cost.crossent\ninputs=part,probs\n", False),
    ("[x]\ntype=cost.crossent\ninputs=labels,probs\n", False),
    ("[x]\ntype=cost.crossent\ninputs=matrix,fc\n", False),
    ("[x]\ntype=cost.bce\ninputs=matrix,fc\n", True),
    ("[y]\ntype=neuron\ninputs=fc\nneuron=logistic\n[x]\ntype=cost.dce\ninputs=matrix,y\n", True),
    ("[x]\ntype=cost.bce\ninputs=labels,fc\n", False),
    ("[x]\ntype=cost.bce\ninputs=labels,fc\n" + COST, True),
    ("[x]\ntype=cost.bce\ninputs=matrix,fc\n" + COST, True),
    ("[x]\ntype=cost.crossent\ninputs=matrix,probs\n" + COST, True),
    ("[fc2]\ntype=fc\ninputs=data\noutputs=9\n[x]\ntype=cost.bce\ninputs=matrix,fc2\n" + COST, False),
    ("[x]\ntype=cost.bce\ninputs=matrix,data\n" + COST, False),
    ("[x]\ntype=cost.sum2\ninputs=probs\n", False),
])  # fmt: skip
def test_costs_of_the_label_matrix(cost, found):
    matrices = "[matrix]\ntype=data\ndataIdx=2\n[part]\ntype=data\ndataIdx=2\nstart=1\n"
    section = output_layer(parse(matrices + NET + cost, "x", Report()))
    assert (section.name if section else None) == ("fc" if found else None)


def test_a_net_without_one_such_layer():
    second = NET.partition("[fc]")[2].replace("inputs=fc", "inputs=fc2").replace("[probs]", "[probs2]")
    two = NET + COST + "[fc2]" + second + "[other]\ntype=cost.logreg\ninputs=labels,probs2\n"
    with pytest.raises(Exception, match=r"layers\.cfg: --classes: expected one fc layer below all costs of classes"):
        changed(3, two, PARAMS + f"[fc2]\n{RATES}")


def test_two_costs_over_one_softmax():
    graph = changed(3, NET + COST + COST.replace("logprob", "other"), PARAMS + "[other]\ntopk=4\n")
    assert graph["fc"].layer.shape.features == 3
    assert graph["logprob"].layer.learning["topk"] == graph["other"].layer.learning["topk"] == 3


def test_which_layer_it_is():
    assert output_layer(parse(NET + COST, "x", Report())).name == "fc"
    assert output_layer(parse(NET, "x", Report())) is None
    assert output_layer(parse((NET + COST).replace("inputs=fc", "inputs=data"), "x", Report())) is None
