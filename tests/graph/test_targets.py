"""Targets of costs get no gradient: weights that learn may not lie below them alone."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.shape import Shape

DATA = "[data]\ntype=data\ndataIdx=0\n"
LEARNS, RESTS = (f"epsW={eps}\nepsB={eps}\nmomW=0\nmomB=0\n" for eps in ("1", "0"))


def layer(name, kind, inputs, more=""):
    return f"[{name}]\ntype={kind}\ninputs={inputs}\n{more}"


def fc(name, inputs="data", outputs=3, more=""):
    return layer(name, "fc", inputs, f"outputs={outputs}\n{more}")


def errors(*layers, rates=LEARNS, alone=False):
    """What is wrong with the net of these layers. rates: of [a]. alone: without a parameter file."""
    text, report = DATA + "".join(layers), Report()
    names = [line[1:-1] for line in text.splitlines() if line.startswith("[")]
    learning = [name for name in names if f"[{name}]\ntype=fc" in text]
    params = "".join(f"[{name}]\n{rates if name == 'a' else LEARNS}" for name in learning)
    files = parse(text, "layers.cfg", report), parse(params, "params.cfg", report)
    try:
        build_graph(files[0], None if alone else files[1], [Shape(6)], report)
    except ConfigError as error:
        return [f"{problem.section} {problem.key}: {problem.text}" for problem in error.problems]
    return []


def wrong(cost, below="a", kind="cost.bce"):
    return (
        f"{cost} inputs: a layer of type '{kind}' passes no gradient to its targets, but below them '{below}' has "
        "weights that learn, and no cost reaches them another way"
    )


@pytest.mark.parametrize("kind", ["cost.bce", "cost.dce", "cost.cauchy", "cost.crossent", "cost.logreg"])
def test_weights_below_targets_alone(kind):
    outputs = 1 if kind == "cost.logreg" else 3
    probabilities = [fc("b"), layer("q", "softmax", "b")]
    assert errors(fc("a", outputs=outputs), *probabilities, layer("cost", kind, "a,q")) == [wrong("cost", kind=kind)]
    between = layer("between", "neuron", "a", "neuron=square\n")
    found = errors(fc("a", outputs=outputs), between, *probabilities, layer("cost", kind, "between,q"))
    assert found == [wrong("cost", kind=kind)]


BELOW = [fc("a"), fc("b"), layer("cost", "cost.bce", "a,b")]


def test_each_cost_is_named():
    """What is below both the targets of one and the other side of a second one learns from this."""
    more = [fc("c", "a"), layer("other", "cost.cauchy", "c,b")]
    assert errors(*BELOW, *more) == [wrong("cost"), wrong("other", kind="cost.cauchy")]
    assert errors(*BELOW, fc("c"), layer("other", "cost.cauchy", "c,a")) == [wrong("other", "c", "cost.cauchy")]


@pytest.mark.parametrize("way", [
    [layer("other", "cost.sum2", "a")], [layer("other", "cost.bce", "b,a")], [layer("other", "cost.bce", "a,a")],
    [layer("c", "concat", "a,data"), fc("d", "c"), layer("other", "cost.sum2", "d")],
])  # fmt: skip
def test_weights_that_a_cost_reaches_another_way(way):
    assert errors(*BELOW, *way) == []


def test_weights_that_rest():
    assert errors(*BELOW, rates=RESTS) == []
    assert errors(*BELOW, alone=True) == []


def test_a_matrix_that_another_layer_shares():
    """It learns from that one; the biases do not."""
    shares = [fc("a"), fc("b", more="weightSource=a\n"), layer("cost", "cost.bce", "a,b")]
    assert errors(*shares) == [wrong("cost")]
    assert errors(*shares, rates=LEARNS.replace("epsB=1", "epsB=0")) == []


def test_nothing_is_said_where_another_mistake_may_hide_the_way():
    broken = layer("other", "resize", "a", "channels=2\nscale=1.5\n")
    (found,) = errors(*BELOW, broken, layer("last", "cost.sum2", "other"))
    assert found.startswith("other channels: ")
