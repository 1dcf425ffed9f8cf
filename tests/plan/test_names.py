"""Memory is told apart by what it is for, whatever users call their layers."""

import numpy as np

from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\n"
LAYERS = (
    DATA
    + """
[x]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
initW=0.4
[x as features]
type=neuron
inputs=x
neuron=abs
[x.grad]
type=neuron
inputs=x as features
neuron=tanh[1,1]
[fc]
type=fc
inputs=x,x.grad
outputs=4
initW=0.4
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)


def test_layers_with_the_names_of_the_plans_own_blocks(device):
    graph = graph_of(LAYERS, f"[x]\n{RATES}[fc]\n{RATES}", image=(3, 7, 5))
    net = ConvNet(graph, device, mini=4, dtype=np.float64, input_grads=True)
    generator = np.random.default_rng(0)
    images, labels = generator.standard_normal((4, 7, 5, 3)), generator.integers(0, 4, (4, 1)).astype(float)
    for check in check_gradients(net, [images, labels]):
        assert check.error < 1e-6, check
