"""Cost layers: their checks, what they merge, children, and what is told of their sums."""

import numpy as np
import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph, check_files
from convnet.layers.cost import in_words, reported
from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from convnet.shape import Shape
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\n"
MATRIX = "[matrix]\ntype=data\ndataIdx=2\n"
FC = "[fc]\ntype=fc\ninputs=data\noutputs=4\ninitW=0.1\n"
PROBS = f"{FC}[probs]\ntype=softmax\ninputs=fc\n"
CHANCES = f"{FC}neuron=logistic\n"
IMAGE = (3, 5, 4)


def cost(kind, inputs, name="cost", more=""):
    return f"[{name}]\ntype=cost.{kind}\ninputs={inputs}\n{more}"


def net_text(*parts):
    """The text, with the labels only where something takes them."""
    text = "".join(parts)
    return (DATA if "labels" in text else DATA.partition("[labels]")[0]) + text


def graph(*parts, params="", shapes=None):
    return graph_of(net_text(*parts), f"[fc]\n{RATES}{params}", image=IMAGE, shapes=shapes)


def steps(built, device, phase="bprop"):
    net = ConvNet(built, device, mini=4)
    return [step.operation for step in net.bound.plan.train if step.phase == phase]


def minibatch(cases=4, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.standard_normal((cases, 5, 4, 3))
    return [images, generator.integers(0, 4, (cases, 1)).astype(float)]


@pytest.mark.parametrize(("parts", "merged"), [
    ([MATRIX, PROBS, cost("crossent", "matrix,probs")], True),
    ([MATRIX, PROBS, cost("crossent", "matrix,probs"), cost("sum2", "probs", "other")], False),
    ([MATRIX, PROBS, cost("crossent", "matrix,probs"), cost("crossent", "matrix,probs", "other")], False),
    ([PROBS, cost("crossent", "probs,probs")], False),
    ([MATRIX, PROBS, cost("crossent", "matrix,probs", more="gpu=1\n")], False),
    ([PROBS, cost("logreg", "labels,probs", more="gpu=1\n")], False),
    ([PROBS, cost("logreg", "labels,probs", more="gpu=0\n")], True),
    ([MATRIX, PROBS, cost("bce", "matrix,probs")], False),
    ([MATRIX, CHANCES, cost("bce", "matrix,fc")], True),
    ([MATRIX, CHANCES, cost("dce", "matrix,fc")], True),
    ([MATRIX, CHANCES, cost("bce", "matrix,fc"), cost("sum2", "fc", "other")], False),
    ([MATRIX, CHANCES, cost("dce", "matrix,fc", more="gpu=1\n")], False),
    ([MATRIX, CHANCES.replace("logistic", "tanh[0.4,1]"), cost("bce", "matrix,fc")], False),
])  # fmt: skip
def test_gradients_merge_with_the_only_reader_on_the_same_device(parts, merged):
    built = graph(*parts)
    name = "probs" if "probs" in built else "fc_neuron"
    assert built[name].layer.merged == merged


def test_targets_have_no_gradient_to_merge():
    resting = "[fc]\nepsW=0\nepsB=0\nmomW=0\nmomB=0\n"
    text = net_text(MATRIX, CHANCES, cost("bce", "fc,matrix"))
    assert not graph_of(text, resting, image=IMAGE)["fc_neuron"].layer.merged


@pytest.mark.parametrize("kind", ["bce", "dce"])
def test_probabilities_that_are_not_logistic_are_noted(kind):
    def notes(chances, name="fc"):
        report = Report()
        text = net_text(MATRIX, chances, cost(kind, f"matrix,{name}"))
        build_graph(parse(text, "layers.cfg", report), None, [Shape(6), Shape(1), Shape(4)], report)
        return [f"{note.section} {note.key}: {note.text}" for note in report.notes]

    wanted = "cost inputs: '{}' is not logistic: its numbers are taken for probabilities all the same"
    assert notes(CHANCES) == []
    assert notes(f"{FC}[chances]\ntype=neuron\nneuron=logistic\ninputs=fc\n", "chances") == []
    assert notes(FC) == [wanted.format("fc")]
    assert notes(CHANCES.replace("logistic", "relu")) == [wanted.format("fc")]
    assert notes(PROBS, "probs") == [wanted.format("probs")]


def test_a_merged_logistic_neuron_costs_no_step(device):
    """In place it would only copy its gradient onto itself."""
    built = graph(MATRIX, CHANCES, cost("bce", "matrix,fc"))
    assert sorted(steps(built, device)) == ["bce.bprop_logistic", "bias.bprop", "matmul.bprop_weights"]
    apart = graph(MATRIX, FC, "[chances]\ntype=neuron\nneuron=logistic\ninputs=fc\n", cost("sum2", "fc", "other"),
                  cost("bce", "matrix,chances"))  # fmt: skip
    assert apart["chances"].layer.merged
    assert "eltwise.scale" in steps(apart, device)
    assert "neuron.bprop" not in steps(apart, device)


def test_bce_of_maps_needs_no_conversion(device):
    conv = (
        "[conv]\ntype=conv\ninputs=data\nchannels=3\nfilters=3\nfilterSize=3\npadding=1\ninitW=0.2\nneuron=logistic\n"
    )
    built = graph_of(net_text(conv, cost("bce", "data,conv")), f"[conv]\n{RATES}", image=IMAGE)
    for phase in ("fprop", "bprop"):
        assert "layout.convert" not in steps(built, device, phase)
    net = ConvNet(built, device, mini=4, dtype=np.float64, input_grads=True)
    checks = list(check_gradients(net, minibatch()))
    assert [check.name for check in checks] == ["conv.weights.0", "conv.biases"], "targets get no gradient"
    assert all(check.error < 1e-6 for check in checks)


@pytest.mark.parametrize(("parts", "message"), [
    ([MATRIX, FC, cost("crossent", "matrix,fc")],
     "[cost] inputs: expected a softmax layer as second input, found 'fc'"),
    ([MATRIX, PROBS.replace("outputs=4", "outputs=5"), cost("crossent", "matrix,probs")],
     "[cost] inputs: expected as many targets as probabilities, 'matrix' has 4, 'probs' has 5"),
    ([PROBS, cost("crossent", "labels,probs")],
     "[cost] inputs: expected as many targets as probabilities, 'labels' has 1, 'probs' has 4"),
    ([CHANCES, cost("bce", "labels,fc")],
     "[cost] inputs: expected as many targets as probabilities, 'labels' has 1, 'fc' has 4"),
    ([CHANCES, cost("dce", "labels,fc")],
     "[cost] inputs: expected as many targets as probabilities, 'labels' has 1, 'fc' has 4"),
    ([PROBS, cost("logreg", "labels,probs", more="children=no\n")],
     "[cost] children: expected costs of type cost.logreg that come before this layer, found 'no'"),
    ([PROBS, cost("logreg", "labels,probs", more="children=cost\n")],
     "[cost] children: expected costs of type cost.logreg that come before this layer, found 'cost'"),
    ([PROBS, cost("logreg", "labels,probs", more="children=late\n"), cost("logreg", "labels,probs", "late")],
     "[cost] children: expected costs of type cost.logreg that come before this layer, found 'late', which is at"),
    ([PROBS, cost("sum2", "probs", "other"), cost("logreg", "labels,probs", more="children=other\n")],
     "[cost] children: expected costs of type cost.logreg that come before this layer, found 'other' of type"),
    ([PROBS, cost("logreg", "labels,probs", more="children=probs\n")],
     "[cost] children: expected costs of type cost.logreg that come before this layer, found 'probs' of type softmax"),
    ([PROBS, cost("sum2", "probs", "other"), cost("sum2", "probs", more="children=other,other\n")],
     "[cost] children: expected every child once, found 'other' again"),
])  # fmt: skip
def test_what_costs_refuse(parts, message):
    with pytest.raises(ConfigError) as caught:
        graph(*parts)
    (problem,) = [problem for problem in str(caught.value).splitlines() if problem]
    assert message in problem
    assert problem.startswith("layers.cfg:")


def test_children_are_checked_without_knowing_the_data():
    report = Report()
    layers = parse(net_text(PROBS, cost("logreg", "labels,probs", more="children=no\n")), "layers.cfg", report)
    with pytest.raises(ConfigError, match=r"children: expected costs of type cost.logreg that come before"):
        check_files(layers, None, report)


def test_childrens_numbers_are_added_to_those_of_their_parents():
    parts = [PROBS, *(cost("logreg", "labels,probs", name) for name in ("a", "b"))]
    built = graph(*parts, cost("logreg", "labels,probs", "c", "children=a\n"),
                  cost("logreg", "labels,probs", "d", "children=b,c\n"), cost("sum2", "fc", "e"))  # fmt: skip
    sums = {name: {"cost": 10.0**power, "error": 2 * 10.0**power, "topk_error": 3 * 10.0**power}
            for power, name in enumerate("abcd")}  # fmt: skip
    sums["e"] = {"cost": 7.0}
    before = {name: dict(metrics) for name, metrics in sums.items()}
    found = reported(built.costs, sums, 4)
    assert found == {"d": {"cost": 1111 / 4, "error": 2222 / 4, "topk_error": 3333 / 4}, "e": {"cost": 7 / 4}}
    assert sums == before
    assert in_words(built.costs, found, []) == "d: cost 277.7500, error 555.5000; e: cost 1.7500"


def test_training_knows_children_by_their_own_coefficients(device):
    """They learn by themselves; only what is told is put together."""
    built = graph(PROBS, cost("logreg", "labels,probs", "a"), cost("logreg", "labels,probs", more="children=a\n"),
                  params="[a]\ncoeff=0.3\n[cost]\ncoeff=2\n")  # fmt: skip
    net = ConvNet(built, device, mini=4, dtype=np.float64)
    costs = net.compute_costs(minibatch())
    assert costs["a"] == costs["cost"]
    assert reported(built.costs, costs, 4)["cost"]["cost"] == pytest.approx(2 * costs["a"]["cost"] / 4)
    assert all(check.error < 1e-6 for check in check_gradients(net, minibatch()))


def test_what_is_told_of_bce():
    built = graph(MATRIX, CHANCES, cost("bce", "matrix,fc", "a"), cost("bce", "matrix,fc", more="children=a\n"))
    sums = {"cost": 6.0, "error": 1.0, "top1_error": 2.0}
    (a, parent) = built.costs
    assert a.in_words(a.report(sums, 4), []) == "cost 1.5000, error 0.2500, top-1 error 0.5000"
    assert reported(built.costs, {"a": sums, "cost": sums}, 4) == {"cost": {"cost": 3.0}}
    assert parent.in_words({"cost": 3.0}, []) == "cost 3.0000"
    one = graph(FC.replace("=4", "=1"), "neuron=logistic\n", cost("bce", "labels,fc")).costs[0]
    assert one.in_words(one.report(sums, 4), []) == "cost 1.5000, error 0.2500"


def test_precision_and_recall_of_each_class(device):
    """Worked out from the net's weights by counting cases. Class 2 is never declared, class 3 never there."""
    built = graph(MATRIX, CHANCES, cost("dce", "matrix,fc"))
    net = ConvNet(built, device, mini=20, dtype=np.float64)
    generator = np.random.default_rng(3)
    net.store.set("weights", net.parameter("fc.weights.0"), generator.standard_normal((60, 4)) / 4)
    net.store.set("weights", net.parameter("fc.biases"), np.array([[0.2, 0.5, -30, 0.0]]))
    data = minibatch(20, seed=5)
    data[1] %= 3
    images = np.moveaxis(data[0], 3, 1).reshape(20, -1)
    scores = images @ net.store.get("weights", net.parameter("fc.weights.0")) + [0.2, 0.5, -30, 0]
    truth = data[1] == np.arange(4)
    costs = net.compute_costs(data)
    found = reported(built.costs, costs, 20)["cost"]
    declared = scores > 0
    assert found["error"] == pytest.approx((declared != truth).mean())
    chances = 1 / (1 + np.exp(-scores))
    assert found["cost"] == pytest.approx(-np.log(np.where(truth, chances, 1 - chances)).sum() / 20)
    expected = {}
    for k in range(4):
        if declared[:, k].any():
            expected[f"precision {k}"] = truth[declared[:, k], k].mean()
        if truth[:, k].any():
            expected[f"recall {k}"] = declared[truth[:, k], k].mean()
    assert {"precision 0", "recall 0", "recall 2", "precision 3"} <= set(expected)
    assert not {"precision 2", "recall 3"} & set(expected)
    assert {name: value for name, value in found.items() if " " in name} == pytest.approx(expected)
    shown = built.costs[0].in_words(found, ["cat", "a\nb", "dog"])
    assert f", (cat) precision {expected['precision 0']:.4f} recall {expected['recall 0']:.4f}, ('a\\nb') " in shown
    assert ", (dog) precision - recall 0.0000, (class 3) precision 0.0000 recall -" in shown


def test_a_parent_of_dce_tells_its_cost_alone():
    built = graph(MATRIX, CHANCES, cost("dce", "matrix,fc", "a"), cost("dce", "matrix,fc", more="children=a\n"))
    sums = dict.fromkeys(built.costs[0].metrics, 4.0)
    found = reported(built.costs, {"a": sums, "cost": sums}, 2)
    assert found["cost"]["cost"] == 4
    assert in_words(built.costs, {"cost": {"cost": 4.0}}, ["cat"]) == "cost: cost 4.0000"
    assert found == {"cost": {"cost": 4.0}}


def test_data_of_another_number_of_classes_is_refused():
    shapes = [Shape.of_maps(*IMAGE), Shape(1), Shape(7)]
    with pytest.raises(ConfigError, match=r"'matrix' has 7, 'probs' has 4"):
        graph(MATRIX, PROBS, cost("crossent", "matrix,probs"), shapes=shapes)
