"""Where a layer without `gpu` runs."""

import pytest

from tests.net.nets import graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
LAYERS = """
[data]
type=data
dataIdx=0
[before]
type=cost.sum2
inputs=data
[wide]
type=fc
inputs=data
outputs=5
gpu=WIDE
[narrow]
type=fc
inputs=wide
outputs=5
gpu=NARROW
[cost]
type=cost.sum2
inputs=narrow
[behind]
type=cost.sum2
inputs=data
"""


@pytest.mark.parametrize(("wide", "narrow"), [("2,1", "1"), ("0,1", "0,1"), ("3", "3")])
def test_a_cost_over_data_alone_runs_where_most_replicas_are(wide, narrow):
    """On a device of its own it would make all of the net run in as many passes as there are replicas."""
    graph = graph_of(LAYERS.replace("WIDE", wide).replace("NARROW", narrow), f"[wide]\n{RATES}[narrow]\n{RATES}")
    found = {node.name: ",".join(map(str, node.gpus)) for node in graph.nodes}
    assert found == {"data": "", "before": wide, "wide": wide, "narrow": narrow, "cost": narrow, "behind": wide}


def test_it_runs_where_its_key_says():
    text = LAYERS.replace("WIDE", "0,1").replace("NARROW", "0")
    graph = graph_of(f"{text}gpu=1\n", f"[wide]\n{RATES}[narrow]\n{RATES}")
    assert (graph["before"].gpus, graph["behind"].gpus) == ((0, 1), (1,))


def test_a_net_of_such_costs_alone():
    assert graph_of(LAYERS.partition("[wide]")[0])["before"].gpus == (0,)
