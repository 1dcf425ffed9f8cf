"""Costs of 2012 over a matrix of targets find the label matrix, as their data had it, in the place of the labels."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.graph.label_matrix import with_label_matrix
from convnet.shape import Shape

NET = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[guess]
type=fc
inputs=data
outputs=7
initW=0.1
neuron=logistic
[cost]
type={cost}
inputs=labels,guess
"""
SHAPES = [Shape(12), Shape(1), Shape(7)]


def widths(text):
    report = Report()
    layers = with_label_matrix(parse(text, "layers.cfg", report), report)
    graph = build_graph(layers, None, SHAPES, report)
    return {node.name: node.layer.shape.features for node in graph.data}, [str(note) for note in report.notes]


@pytest.mark.parametrize("cost", ["cost.crossent2", "cost.rflickr"])
def test_labels_are_the_matrix(cost):
    found, (note,) = widths(NET.format(cost=cost))
    assert found == {"data": 12, "labels": 7}
    assert note == f"layers.cfg:7: [labels] dataIdx: 1 is read as 2, the label matrix, which {cost} took in 2012"


def test_labels_that_others_read_stay():
    softmax = "[probs]\ntype=softmax\ninputs=guess\n[class]\ntype=cost.logreg\ninputs=labels,probs\n"
    narrow = NET.format(cost="cost.rflickr").replace("outputs=7", "outputs=1")
    assert widths(narrow + softmax) == ({"data": 12, "labels": 1}, [])


def test_present_names_take_what_is_written():
    narrow = NET.format(cost="cost.bce").replace("outputs=7", "outputs=1")
    assert widths(narrow) == ({"data": 12, "labels": 1}, [])
