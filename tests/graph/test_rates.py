"""The keys of weight layers that say how they learn, from the parameter file to the parameters."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.shape import Shape
from tests.net.nets import DATA

LAYERS = DATA + """
[fc]
type=fc
inputs=data,data
outputs=3
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""


def built(lines, epsw="0.01", epsb="0.02"):
    """The parameters of [fc] by name, and the notes."""
    report = Report()
    params = parse(f"[fc]\nepsW={epsw}\nepsB={epsb}\nmomW=0.9\nmomB=0.8\n{lines}\n[cost]\n", "params.cfg", report)
    graph = build_graph(parse(LAYERS, "layers.cfg", report), params, [Shape(5), Shape(1)], report)
    return {parameter.name: parameter for parameter in graph.parameters}, [str(note) for note in report.notes]


def rates(lines, **eps):
    return {name: str(parameter.eps) for name, parameter in built(lines, **eps)[0].items()}


def test_rates_by_themselves():
    found = rates("", epsw="1e-3,step[base=0.1;tgtFactor=10;epochs=80,120]", epsb="plateau[base=1;tgtFactor=2]")
    assert found == {
        "fc.weights.0": "0.001", "fc.weights.1": "step[base=0.1;tgtFactor=10;epochs=80,120]",
        "fc.biases": "plateau[base=1;tgtFactor=2;patience=5;minImprovement=0.0;maxDrops=3]".replace("0.0", "0"),
    }  # fmt: skip


def test_the_dialect_of_2012():
    found = rates("schedW=jdexp[tgtFactor=250,numSteps=4]\nschedB=exp[tgtFactor=10]", epsw="0.01,0.03")
    assert found == {
        "fc.weights.0": "jdexp[base=0.01;tgtFactor=250;numSteps=4]",
        "fc.weights.1": "jdexp[base=0.03;tgtFactor=250;numSteps=4]", "fc.biases": "exp[base=0.02;tgtFactor=10]",
    }  # fmt: skip
    assert rates("schedW=default\nschedB=default") == rates("")
    only = rates("schedB=dexp[tgtFactor=10,numSteps=2]", epsw="exp[base=0.5;tgtFactor=3]")
    assert only["fc.weights.0"] == "exp[base=0.5;tgtFactor=3]"
    assert only["fc.biases"] == "dexp[base=0.02;tgtFactor=10;numSteps=2]"


def test_what_has_no_meaning_is_named():
    _, notes = built("schedW=dexp[tgtFactor=250,noiseStdev=0,numSteps=4]\nschedB=exp[tgtFactor=9]\nsched=exp[9]")
    assert notes == [
        "params.cfg:8: [fc] sched: has no effect here: the code of 2012 does not read it either; schedW and schedB say "
        "how rates change",
        "params.cfg:6: [fc] schedW: noiseStdev=0 has no effect here: there is no noise on rates",
    ]
    assert built("schedW=exp[tgtFactor=9]")[1] == []


@pytest.mark.parametrize(("lines", "eps", "error"), [
    ("schedW=exp[tgtFactor=9]", {"epsw": "0.1,exp[base=1;tgtFactor=2]"},
     "params.cfg:6: [fc] schedW: expected epsW to be a number, for schedW to change, found 'exp[base=1;tgtFactor=2]'"),
    ("schedB=exp[tgtFactor=9]", {"epsb": "linear[base=1;tgtFactor=2]"},
     "params.cfg:6: [fc] schedB: expected epsB to be a number, for schedB to change, found "
     "'linear[base=1;tgtFactor=2]'"),
    ("schedW=exp[tgtFactor=9,noiseStdev=0.1]", {},
     "params.cfg:6: [fc] schedW: expected noiseStdev to be 0 (there is no noise on rates), found '0.1' in "
     "'exp[tgtFactor=9,noiseStdev=0.1]'"),
    ("schedW=exp[base=1;tgtFactor=9]", {},
     "params.cfg:6: [fc] schedW: expected exp[tgtFactor=...], and if you like noiseStdev, found "
     "'base' in 'exp[base=1;tgtFactor=9]'"),
    ("updatePeriod=-1", {}, "params.cfg:6: [fc] updatePeriod: expected an integer of at least 0, found '-1'"),
    ("nesterov=perhaps", {}, "params.cfg:6: [fc] nesterov: expected true or false, found 'perhaps'"),
])  # fmt: skip
def test_mistakes(lines, eps, error):
    with pytest.raises(ConfigError) as caught:
        built(lines, **eps)
    assert str(caught.value) == error


def test_rates_that_rise_are_noted():
    _, notes = built("schedB=exp[tgtFactor=0.5]", epsw="step[base=1;tgtFactor=0.1;epochs=2]")
    assert notes == [
        "params.cfg:2: [fc] epsW: rates are divided by tgtFactor: 0.1 makes this one rise",
        "params.cfg:6: [fc] schedB: rates are divided by tgtFactor: 0.5 makes this one rise",
    ]
    assert built("", epsw="exp[base=1;tgtFactor=1]")[1] == []


def test_nesterov_and_update_period_are_those_of_weights_and_biases():
    for lines, nesterov, period in (("", False, 0), ("nesterov=yes\nupdatePeriod=3", True, 3)):
        found = built(lines)[0].values()
        assert [(p.nesterov, p.update_period) for p in found] == [(nesterov, period)] * 3
