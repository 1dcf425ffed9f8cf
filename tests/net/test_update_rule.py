"""Five steps of a small net beside the rule of learning written out in NumPy, in float64.

    inc = mom * inc - eps * g / N - eps * wc * w;  w = w + inc;  then wball

with g the gradient of coeff * cost summed over the cases, N the nominal minibatch, and no decay of biases.
"""

import numpy as np
import pytest

from convnet.net import ConvNet
from convnet.shape import Shape
from convnet.weights.schedule import Progress

from .nets import DATA, graph_of

LAYERS = (
    DATA
    + """
[hidden]
type=fc
inputs=data
outputs=4
initW=0.5
initB=0.1
neuron=tanh[1.5,0.7]
[last]
type=fc
inputs=hidden
outputs=3
initW=0.5
[probs]
type=softmax
inputs=last
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
PARAMS = """
[hidden]
epsW=linear[base=0.4;tgtFactor=4]
epsB=0.3
momW=0.9
momB=0.5
wc=0.05
[last]
epsW=exp[base=0.2;tgtFactor=10]
epsB=dexp[base=0.4;tgtFactor=10;numSteps=2]
momW=0.7
momB=0.8
wc=0.02
wball=1.3
[logprob]
coeff=0.6
"""
MINI, FEATURES, COEFF, WBALL = 7, 5, 0.6, 1.3
MOMENTUM = {"hidden.weights.0": 0.9, "hidden.biases": 0.5, "last.weights.0": 0.7, "last.biases": 0.8}
DECAY = {"hidden.weights.0": 0.05, "hidden.biases": 0.0, "last.weights.0": 0.02, "last.biases": 0.0}
STEPS = [(0.0, 7), (0.1, 7), (0.5, 3), (0.5000001, 7), (1.0, 2)]  # progress, and cases of the minibatch


def rates(p):
    return {"hidden.weights.0": 0.4 * (1 - p) + 0.1 * p, "hidden.biases": 0.3, "last.weights.0": 0.2 * 10**-p,
            "last.biases": 0.4 if p <= 0.5 else 0.04}  # fmt: skip


def gradients(w, x, labels):
    """The gradient of the summed costs (without coeff), and their sum."""
    a = x @ w["hidden.weights.0"] + w["hidden.biases"]
    h = 1.5 * np.tanh(0.7 * a)
    scores = h @ w["last.weights.0"] + w["last.biases"]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    chosen = np.arange(len(x)), labels[:, 0].astype(int)
    cost = -np.log(p[chosen]).sum()
    d = p.copy()
    d[chosen] -= 1
    da = (d @ w["last.weights.0"].T) * 1.5 * 0.7 / np.cosh(0.7 * a) ** 2
    return cost, {"hidden.weights.0": x.T @ da, "hidden.biases": da.sum(axis=0, keepdims=True),
                  "last.weights.0": h.T @ d, "last.biases": d.sum(axis=0, keepdims=True)}  # fmt: skip


def step(w, inc, x, labels, progress):
    """One minibatch; the cost before it."""
    cost, found = gradients(w, x, labels)
    for name, gradient in found.items():
        eps = rates(progress)[name]
        inc[name] = MOMENTUM[name] * inc[name] - eps * COEFF * gradient / MINI - eps * DECAY[name] * w[name]
        w[name] = w[name] + inc[name]
    w["last.weights.0"] *= WBALL / np.sqrt((w["last.weights.0"] ** 2).sum(axis=0))
    return cost


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_five_steps(device, dtype, tolerance):
    net = ConvNet(graph_of(LAYERS, PARAMS, shapes=[Shape(FEATURES), Shape(1)]), device, mini=MINI, seed=4, dtype=dtype)
    w = {name: value.astype(np.float64) for name, value in net.state().items() if not name.endswith(".inc")}
    inc = {name: np.zeros_like(value) for name, value in w.items()}
    generator = np.random.default_rng(8)
    for progress, cases in STEPS:
        x, labels = generator.standard_normal((cases, FEATURES)), generator.integers(0, 3, (cases, 1)).astype(float)
        net.set_progress(Progress(progress))
        cost = net.train_minibatch([x.astype(dtype), labels.astype(dtype)])["logprob"]["cost"]
        assert cost == pytest.approx(step(w, inc, x, labels, progress), rel=tolerance)
        state = net.state()
        for name, expected in w.items():
            np.testing.assert_allclose(state[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)
            np.testing.assert_allclose(state[f"{name}.inc"], inc[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_the_ball_scales_up_as_well_as_down(device):
    """fc and conv: every column has exactly the norm, also those that were shorter."""
    net = ConvNet(graph_of(LAYERS, PARAMS, shapes=[Shape(FEATURES), Shape(1)]), device, mini=MINI, dtype="float64")
    before = np.sqrt((net.state()["last.weights.0"] ** 2).sum(axis=0))
    assert before.min() < WBALL - 0.1
    x = np.random.default_rng(0).standard_normal((MINI, FEATURES))
    net.train_minibatch([x, np.zeros((MINI, 1))])
    np.testing.assert_allclose((net.state()["last.weights.0"] ** 2).sum(axis=0), WBALL**2, rtol=1e-12)


@pytest.mark.parametrize(("kind", "up"), [("conv", True), ("local", False)])
def test_the_ball_of_filters(device, kind, up):
    """conv: all filters get the norm. local: each filter of each window, and only those that are longer."""
    layers = f"""{DATA}
[x]
type={kind}
inputs=data
channels=2
filters=5
filterSize=3
stride=2
initW=0.25
[fc]
type=fc
inputs=x
outputs=3
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
    rates_of = "epsW=1e-9\nepsB=0\nmomW=0\nmomB=0\n"
    graph = graph_of(layers, f"[x]\n{rates_of}wball=1.1\n[fc]\n{rates_of}", image=(2, 7, 5))
    net = ConvNet(graph, device, mini=4, seed=3, dtype="float64")
    windows = 6 if kind == "local" else 1
    norms = lambda: np.sqrt((net.state()["x.weights.0"].reshape(windows, 18, 5) ** 2).sum(axis=1))  # noqa: E731
    before = norms()
    assert before.min() < 1.09 < 1.2 < before.max()
    net.train_minibatch([np.random.default_rng(0).standard_normal((4, 7, 5, 2)), np.zeros((4, 1))])
    expected = np.full_like(before, 1.1) if up else np.minimum(before, 1.1)
    np.testing.assert_allclose(norms(), expected, rtol=1e-6)
