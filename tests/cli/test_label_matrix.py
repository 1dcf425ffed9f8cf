"""Nets that learn from the label matrix (dataIdx=2), which every data has, and what is told of them."""

import json
import re
from pathlib import Path

import pytest

from .conftest import DATA, LAYERS, NET, PARAMS, convnet, only_run

MATRIX = LAYERS.replace("[labels]\ntype=data\ndataIdx=1", "[labels]\ntype=data\ndataIdx=2")
CROSSENT = MATRIX.replace("cost.logreg", "cost.crossent")
CHANCES = MATRIX.partition("[probs]")[0] + "neuron=logistic\n[found]\ntype=cost.KIND\ninputs=labels,fc\n"
WITHOUT_TOPK = PARAMS.replace("[logprob]\ntopk=2\n", "")
DUMMY = ("--data-provider", "dummy-3x8x8-5")


@pytest.fixture
def written(small):
    """A function that writes the small net's files."""

    def write(layers, params=WITHOUT_TOPK):
        Path("small.cfg").write_text(layers)
        Path("rates.cfg").write_text(params)

    return write


def costs_of(output):
    return re.findall(r"cost (\d+\.\d{4}), error (\d\.\d{4})", output)


def test_crossent_of_the_label_matrix_is_logreg_of_the_labels(written):
    """Not only on average: the gradients are the same, so that training is."""
    written(LAYERS, WITHOUT_TOPK)
    expected = costs_of(convnet("train", *NET, *DATA, "--save-path", "a").stdout)
    written(CROSSENT)
    assert costs_of(convnet("train", *NET, *DATA, "--save-path", "b").stdout) == expected
    assert len(expected) == 6 + 2
    tested = convnet("test", "-f", only_run("b"), "--device", "cpu").stdout
    assert costs_of(tested) == costs_of(convnet("test", "-f", only_run("a"), "--device", "cpu").stdout)


@pytest.mark.parametrize("layers", [CROSSENT, CHANCES.replace("KIND", "bce"), CHANCES.replace("KIND", "dce")])
def test_any_data_has_the_matrix_and_classes_fit_the_net_to_it(written, layers):
    written(layers)
    message = r"inputs: expected as many targets as probabilities, 'labels' has 5, '\w+' has 3"
    assert re.search(message, convnet("train", *NET, *DUMMY, code=2).stderr)
    assert convnet("train", *NET, *DUMMY, "--classes", "5", "--epochs", "1").stdout.count("saved") == 1
    text = convnet("describe", *NET, "--input", "3x8x8").stdout
    assert re.search(r"labels +data +3\n", text), "the layer file tells how many classes there are"
    text = convnet("describe", *NET, "--input", "3x8x8", "--classes", "5").stdout
    assert re.search(r"labels +data +5\n", text)
    agree = convnet("check-grads", *NET, "--input", "3x8x8", "--classes", "5").stdout
    assert re.search(r"\nall \d gradients agree\n", agree)


def test_precision_and_recall_of_named_classes(written):
    written(CHANCES.replace("KIND", "dce"))
    output = convnet("train", *NET, *DATA).stdout
    shares = r" \({}\) precision (-|\d\.\d{{4}}) recall \d\.\d{{4}}"
    line = r"  test  found: cost \d+\.\d{4}, error \d\.\d{4}," + ",".join(map(shares.format, "012")) + r"  \("
    assert len(re.findall(line, output)) == 2
    assert "\nbest test error: 0." in output
    found = json.loads(convnet("test", "-f", only_run(), "--json").stdout)
    assert found["error"] == found["costs"]["found"]["error"]
    assert {"recall 0", "recall 1", "recall 2"} <= set(found["costs"]["found"])


def test_children_are_told_with_their_parent(written):
    written(LAYERS + "[both]\ntype=cost.logreg\ninputs=labels,probs\nchildren=logprob\n", WITHOUT_TOPK)
    output = convnet("train", *NET, *DATA, "--epochs", "1").stdout
    assert "logprob:" not in output
    assert costs_of(output)
    assert all(float(cost) > 1.5 for cost, _ in costs_of(output)), "twice log 3, and a little less"
    found = json.loads(convnet("test", "-f", only_run(), "--json").stdout)
    assert list(found["costs"]) == ["both"]


BOTH = LAYERS + "[lm]\ntype=data\ndataIdx=2\n[other]\ntype=cost.crossent\ninputs=lm,probs\n"


def test_two_costs_of_one_softmax(written):
    written(BOTH)
    for classes, given in ((3, ()), (3, ("--classes", "3")), (5, ("--classes", "5"))):
        text = convnet("describe", *NET, "--input", "3x8x8", *given).stdout
        assert re.search(rf"lm +data +{classes}\n", text)
        agree = convnet("check-grads", *NET, "--input", "3x8x8", *given).stdout
        assert re.search(r"\nall \d gradients agree\n", agree)
        data = ("--data-provider", f"dummy-3x8x8-{classes}")
        assert "saved" in convnet("train", *NET, *data, *given, "--epochs", "1").stdout


def test_what_is_undefined_is_null(written):
    """The biases see to it that no class is declared: of no class is there a precision."""
    still = WITHOUT_TOPK.replace("epsW=0.05", "epsW=0").replace("epsB=0.1", "epsB=0")
    written(CHANCES.replace("KIND", "dce").replace("neuron=logistic", "initB=-50\nneuron=logistic"), still)
    convnet("train", *NET, *DATA, "--epochs", "1")
    found = json.loads(convnet("test", "-f", only_run(), "--json").stdout)["costs"]["found"]
    assert [found[f"precision {number}"] for number in range(3)] == [None] * 3
    assert [found[f"recall {number}"] for number in range(3)] == [0] * 3


def test_the_matrix_without_a_number_of_classes(written):
    written(CHANCES.replace("KIND", "bce").replace("[fc]\ntype=fc", "[fc]\ntype=local"))
    wrong = convnet("describe", *NET, "--input", "3x8x8", code=2).stderr
    assert "--classes" in wrong
