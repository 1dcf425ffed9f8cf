"""A net printed back as cfg files: the same net, in one way of writing."""

import dataclasses

import pytest

from convnet.config.keys import Key
from convnet.config.kinds import Bool, Float, FunctionCall, Int, ListOf, Maps, Names, Text
from convnet.config.reader import parse, read
from convnet.config.report import Report
from convnet.config.writer import canonical, given_lines, section_text
from convnet.graph.build import build_graph
from convnet.graph.describe import describe
from convnet.graph.write import layer_file, parameter_file
from convnet.shape import Shape
from tests.conftest import ROOT
from tests.layers.examples import EXAMPLES, example
from tests.net.nets import DATA, graph_of


def learning(graph):
    """What each layer was read as, by name, and how each parameter learns."""
    layers = {node.name: (node.layer.type, node.layer.values, node.layer.learning) for node in graph.nodes}
    rates = {p.name: dataclasses.replace(p, matrix=None) for p in graph.parameters}
    return layers, rates


def printed_and_read(graph):
    """Print the graph, read it, and check that it prints the same again. Gives the new graph."""
    layers, params = layer_file(graph, alone=False), parameter_file(graph)
    report, shapes = Report(), graph.data[0].layer.input_shapes
    again = build_graph(parse(layers, "layers.cfg", report), parse(params, "params.cfg", report), shapes, report)
    assert report.notes == []
    assert (layer_file(again, alone=False), parameter_file(again)) == (layers, params)
    return again


def check_same(graph):
    again = printed_and_read(graph)
    assert describe(again) == describe(graph)
    assert learning(again) == learning(graph)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_type(name):
    check_same(graph_of(*example(name), image=(3, 7, 5)))


@pytest.mark.parametrize("path", sorted((ROOT / "layers-cfg").glob("*.cfg")), ids=lambda path: path.stem)
def test_every_net_that_comes_with_convnet(path):
    report = Report()
    files = read(path, report), read(path.parent.parent / "params-cfg" / path.name, report)
    size = files[1].sections["train"].entries["input"].value
    shapes = [Shape.of_maps(*map(int, size.split("x"))), Shape(1)]
    check_same(build_graph(*files, shapes, report))


LAYERS = (
    DATA
    + """
# a comment
[conv] ; another
TYPE: conv
inputs = data
filtersize=3 ; this one
channels=3
filters=
  ; split
 4
stride=1
initW = 1e-2
initB=0.50
sharedBiases=YES
partialSum=3
initWFunc=my.init( a , 10%%,
  $${x})
dropout=.25
neuron=tanh[ 1, 2 ]
[hs]
type=hs
inputs=conv
keep=.5
gpu= 01
[sum]
type=eltsum
inputs=hs,hs
coeffs= 2,2.0
[cost]
type=cost.sum2
inputs=sum
[other]
type=cost.sum2
inputs=labels
"""
)
PARAMS = """
[other]
[conv]
epsw=exp[ base=0.10; tgtFactor=4 ]
epsB=0
momW=.9
momB=0.90
wc=0
[cost]
coeff=1.0
[unused]
x=1
"""
PRINTED_LAYERS = """[data]
type=data
dataIdx=0

[labels]
type=data
dataIdx=1

[conv]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
initB=0.5
initWFunc=my.init( a , 10%%, $${x})
neuron=tanh[ 1, 2 ]

[hs]
type=dropout2
inputs=conv
gpu=1

[sum]
type=eltsum
inputs=hs,hs

[cost]
type=cost.sum2
inputs=sum

[other]
type=cost.sum2
inputs=labels
"""
PRINTED_PARAMS = """[conv]
epsW=exp[ base=0.10; tgtFactor=4 ]
epsB=0
momW=0.9
momB=0.9
dropout=0.25

[sum]
coeffs=2
"""


def read_pair():
    report = Report()
    files = parse(LAYERS, "layers.cfg", report), parse(PARAMS, "params.cfg", report)
    return build_graph(*files, [Shape.of_maps(3, 5, 5), Shape(1)], report)


def test_the_one_way_of_writing():
    graph = read_pair()
    assert layer_file(graph, alone=False) == PRINTED_LAYERS
    assert parameter_file(graph) == PRINTED_PARAMS
    check_same(graph)


def test_a_layer_file_alone_keeps_what_belongs_into_the_other():
    graph = graph_of(DATA + "[d]\ntype=hs\ninputs=data\nkeep=.7\n[c]\ntype=cost.sum2\ninputs=d\n"
                     "[o]\ntype=cost.sum2\ninputs=labels\n")  # fmt: skip
    assert "keep=0.7\n" in layer_file(graph, alone=True)
    assert "keep" not in layer_file(graph, alone=False)
    assert parameter_file(graph) == "[d]\nkeep=0.7\n"


@pytest.mark.parametrize(("kind", "text", "printed"), [
    (Int(), "+007", "7"), (Float(), "1.0", "1"), (Float(), ".75", "0.75"), (Float(), "-1E5", "-100000"),
    (Float(), "1e-7", "1e-07"), (Float(), "0.1000000000000000055511151231257827", "0.1"), (Float(), "10.0", "10"),
    (Bool(), "ON", "true"), (Bool(), "0", "false"), (Maps(), "3 x 4x05", "3x4x5"), (Names(), "a , b", "a,b"),
    (ListOf(Int()), " 1,02 ,3", "1,2,3"), (Text(), "a\n b", "a b"), (FunctionCall(), "m.f( a,\nb )", "m.f( a, b )"),
    (Text(), "exp[base=1\n;tgtFactor=2]", "exp[base=1;tgtFactor=2]"),
])  # fmt: skip
def test_values(kind, text, printed):
    assert canonical(kind, text) == printed
    assert canonical(kind, printed) == printed


def test_texts_that_mean_something_are_escaped():
    (section,) = parse("[s]\nk=100%% $${x} ${y}\n".replace("${y}", "$y"), "f", Report()).sections.values()
    text = section_text("s", given_lines([Key("K", Text(), "")], section))
    assert text == "[s]\nK=100%% $${x} $y\n"
