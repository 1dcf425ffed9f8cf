"""The weight ball of 2012: the longest norm is `wball` times the number of a filter's weights."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.graph.write import layer_file, parameter_file
from convnet.shape import Shape

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
NET = """
[data]
type=data
dataIdx=0
[conv1]
type=conv
inputs=data
channels=3
filters=4
filterSize=11
stride=4
MARK
[local1]
type=local
inputs=conv1
channels=4
filters=6
groups=2
filterSize=3
[fc]
type=fc
inputs=local1,data
outputs=5
[cost]
type=cost.sum2
inputs=fc
"""
PARAMS = f"[conv1]\n{RATES}wball=0.005\n[local1]\n{RATES}wball=0.1\n[fc]\n{RATES}wball=0.25,0\n"
PLAIN, MARKED = NET.replace("MARK\n", ""), NET.replace("MARK", "partialSum=1")
MAPS = Shape.of_maps(3, 23, 23)


def built(layers=MARKED, params=PARAMS):
    report = Report()
    files = parse(layers, "layers.cfg", report), parse(params, "params.cfg", report)
    return build_graph(*files, [MAPS], report), report.notes


def limits(graph):
    """Of each matrix the limit, and whether it only shrinks."""
    return {p.name: (p.wball, p.matrix.shrinks) for p in graph.parameters if p.index is not None}


OF_2012 = {  # 363 weights of a filter; 2 of 4 channels in windows of 3x3; 12 maps of 2x2
    "conv1.weights.0": (pytest.approx(1.815), True), "local1.weights.0": (pytest.approx(1.8), True),
    "fc.weights.0": (12.0, True), "fc.weights.1": (0.0, False),
}  # fmt: skip
OF_V2 = {
    "conv1.weights.0": (0.005, False), "local1.weights.0": (0.1, True), "fc.weights.0": (0.25, False),
    "fc.weights.1": (0.0, False),
}  # fmt: skip


def test_the_limits_of_2012():
    graph, notes = built()
    assert limits(graph) == OF_2012
    told = {note.section: note.text for note in notes if note.key == "wball"}
    begin = "taken as in 2012: the longest norm is wball times the weights of a filter, "
    end = "; write wballMax for a norm itself"
    assert told == {"conv1": f"{begin}1.815{end}", "local1": f"{begin}1.8{end}", "fc": f"{begin}12{end}"}


@pytest.mark.parametrize(("layers", "params"), [
    (NET.replace("MARK", "quantF=half"), PARAMS), (PLAIN, f"{PARAMS}quantB=default\n"),
    (PLAIN, f"{PARAMS}schedB=default\n"), (PLAIN, f"{PARAMS}schedW=exp[tgtFactor=9]\n"), (PLAIN, f"{PARAMS}sched=x\n"),
    (PLAIN, f"{PARAMS}wcnorm=0\n"),
    (PLAIN + "[hs]\ntype=hs\ninputs=fc\n[more]\ntype=cost.sum2\ninputs=hs\n", PARAMS),
    (PLAIN + "[more]\ntype=cost.crossent2\ninputs=fc,fc\n", PARAMS),
    (PLAIN + "[more]\ntype=cost.rflickr\ninputs=fc,fc\n", PARAMS),
])  # fmt: skip
def test_the_marks_of_2012(layers, params):
    assert limits(built(layers, params)[0]) == OF_2012


@pytest.mark.parametrize("mark", ["", "sumWidth=2", "gpu=0", "wc=0"])
def test_without_a_mark_it_is_the_norm_itself(mark):
    layers = PLAIN if mark == "wc=0" else NET.replace("MARK", mark)
    graph, notes = built(layers, f"{PARAMS}{mark if mark == 'wc=0' else ''}\n")
    assert limits(graph) == OF_V2
    assert [note for note in notes if note.key == "wball"] == []


def test_what_is_printed_has_the_same_limits():
    """With nothing of 2012 in it."""
    graph, _ = built()
    printed = layer_file(graph, alone=False), parameter_file(graph)
    assert "partialSum" not in printed[0]
    assert "wball=" not in printed[1]
    assert "wballMax=12,0\n" in printed[1]
    again, notes = built(*printed)
    assert limits(again) == limits(graph) == OF_2012
    assert notes == []
    assert (layer_file(again, alone=False), parameter_file(again)) == printed


def test_both_limits_in_one_net_of_2012():
    """Each for another input; what is printed is one list."""
    graph, _ = built(params=PARAMS.replace("wball=0.25,0", "wball=0.25,0\nwballMax=0,7"))
    assert limits(graph)["fc.weights.1"] == (7.0, True)
    assert parameter_file(graph).count("wballMax=12,7\n") == 1


def test_the_longest_norm_itself():
    graph, notes = built(PLAIN, PARAMS.replace("wball", "wballMax"))
    assert limits(graph) == {name: (limit, limit > 0) for name, (limit, _) in OF_V2.items()}
    assert notes == []


BOTH = "params.cfg:7: [conv1] wballMax: expected wball or wballMax for an input, found both"


@pytest.mark.parametrize(("layers", "lines", "error"), [
    (PLAIN, "wball=1\nwballMax=2", BOTH), (MARKED, "wball=1\nwballMax=2", BOTH),
    (MARKED, "wball=1e308",
     "params.cfg:6: [conv1] wball: expected a number that is finite when multiplied by the weights of a filter"),
])  # fmt: skip
def test_mistakes(layers, lines, error):
    with pytest.raises(ConfigError) as caught:
        built(layers, PARAMS.replace("wball=0.005", lines))
    assert str(caught.value) == error
