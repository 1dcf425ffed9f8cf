"""Tests on ten views of each image: averaged probabilities, and what is told of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.data.provider import VIEWS
from convnet.errors import ConvnetError
from convnet.net import ConvNet
from convnet.ops.logreg.cpu import fprop
from convnet.training.evaluate import evaluate
from convnet.training.multiview import evaluate_views, keep_probabilities, logreg
from convnet.training.runs import open_net
from convnet.training.testing import test_checkpoint as run_test
from tests.net.nets import DATA, graph_of

from .small import LAYERS, PARAMS, Place

CPU = DeviceOptions("cpu", threads=2)


def awkward(cases=60, classes=7):
    """Labels and float32 probabilities with ties, zeros, NaN, and labels that are no class."""
    drawn = np.random.default_rng(4)
    probabilities = drawn.integers(0, 4, (cases, classes)).astype(np.float32)  # ties, also for the first place
    probabilities[::3] = drawn.random((len(probabilities[::3]), classes))
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1)
    labels = drawn.integers(0, classes, (cases, 1)).astype(np.float32)
    probabilities[4, int(labels[4, 0])] = np.nan
    probabilities[5, int(labels[5, 0]) - 1] = np.nan
    probabilities[7] = 0
    labels[8:12, 0] = [-1, classes, np.nan, 1e9]
    return labels, probabilities


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("topk", [1, 3, 7])
def test_costs_and_errors_are_those_of_the_operation(device, topk, smoothing):
    labels, probabilities = awkward()
    expected = np.empty((len(labels), 3), np.float32)
    fprop(device, labels, probabilities, expected, topk=topk, smoothing=smoothing)()
    found = logreg(labels, probabilities.astype(np.float64), topk=topk, smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.isnan(found).any(axis=1).sum() == (5 if smoothing == 0 else 6)
    places = found[np.isfinite(found[:, 2]), 2]
    assert topk == 7 or ((places > 0) & (places < 1)).any(), "no tie is in play"


class Views:
    """A data provider whose views are given; each minibatch is written over the one before.

    images: (view, case, y, x, channel) float32, one view for those that are all the same. labels: (case, 1).
    """

    def __init__(self, images, labels):
        self.images, self.labels = np.broadcast_to(images, (VIEWS, *images.shape[1:])), labels

    def cases(self, batchnum):
        return len(self.labels)

    def open_batch(self, batchnum, epoch, mini, *, train, multiview, first, **_):
        assert (epoch, train, first) == (1, False, 0)
        held = [np.empty((mini, *self.images.shape[2:]), np.float32), np.empty((mini, 1), np.float32)]
        for start in range(0, len(self.labels), mini):
            for view in self.images if multiview else self.images[:1]:
                data = view[start : start + mini], self.labels[start : start + mini]
                for room, values in zip(held, data, strict=True):
                    room[: len(values)] = values
                yield [room[: len(data[0])] for room in held]
                for room in held:
                    room[:] = 1e9


TWO_COSTS = f"""{DATA}
[fc1]
type=fc
inputs=data
outputs=5
initW=0.3
neuron=tanh[1.2,0.5]
GPU
[fc2]
type=fc
inputs=fc1
outputs=4
initW=0.3
[probs]
type=softmax
inputs=fc2
[fc3]
type=fc
inputs=fc1
outputs=4
initW=0.3
[probs3]
type=softmax
inputs=fc3
[norms]
type=cost.sum2
inputs=fc1
[aside]
type=cost.logreg
inputs=labels,probs3
[logprob]
type=cost.logreg
inputs=labels,probs
CHILDREN
"""
RATES = "epsW=0\nepsB=0\nmomW=0\nmomB=0\n"
TWO_PARAMS = f"[fc1]\n{RATES}[fc2]\n{RATES}[fc3]\n{RATES}[logprob]\ntopk=2\nsmoothing=0.2\n[norms]\ncoeff=0.1\n"


def two_costs(device, devices=1, gpu="", children="", mini=6):
    """A net with random weights, the costs told of it, and views of random images."""
    drawn = np.random.default_rng(2)
    graph = graph_of(TWO_COSTS.replace("GPU", gpu).replace("CHILDREN", children), TWO_PARAMS, image=(2, 3, 4))
    costs = keep_probabilities(graph)
    net = ConvNet(graph, [device] * devices, mini=mini)
    for parameter in graph.parameters:
        net.store.set("weights", parameter, drawn.standard_normal(parameter.matrix.shape).astype(np.float32))
    images = drawn.standard_normal((VIEWS, 17, 3, 4, 2)).astype(np.float32)
    return net, costs, Views(images, drawn.integers(0, 4, (17, 1)).astype(np.float32))


def worked_out(net, provider):
    """The sums of what a net of TWO_COSTS tells of averaged probabilities, in float64, case by case."""
    state = {name: array.astype(np.float64) for name, array in net.state().items()}
    found = {"aside": np.zeros(3), "logprob": np.zeros(3)}
    for case, (label,) in enumerate(provider.labels.astype(int)):
        averages = {name: np.zeros(4) for name in found}
        for view in provider.images[:, case]:
            below = np.moveaxis(view, 2, 0).reshape(-1) @ state["fc1.weights.0"] + state["fc1.biases"][0]
            for name, layer in (("logprob", "fc2"), ("aside", "fc3")):
                sums = 1.2 * np.tanh(0.5 * below) @ state[f"{layer}.weights.0"] + state[f"{layer}.biases"][0]
                averages[name] += np.exp(sums) / np.exp(sums).sum() / VIEWS
        for name, p in averages.items():
            goal = (np.arange(4) == label) * (0.8 if name == "logprob" else 1) + (0.05 if name == "logprob" else 0)
            rank = (p > p[label]).sum()
            found[name] += [-(goal * np.log(p)).sum(), rank >= 1, rank >= (2 if name == "logprob" else 1)]
    return {name: dict(zip(("cost", "error", "topk_error"), sums, strict=True)) for name, sums in found.items()}


@pytest.mark.parametrize("mini", [6, 17, 1])
def test_probabilities_are_averaged_before_the_logarithm(device, mini):
    net, costs, provider = two_costs(device, mini=mini)
    tests = [(totals.cases, totals.sums) for totals in evaluate_views(net, costs, provider, [1])]
    assert [cases for cases, _ in tests] == [*range(mini, 17, mini), 17]
    expected = worked_out(net, provider)
    assert tests[-1][1] == {name: pytest.approx(metrics, rel=1e-5) for name, metrics in expected.items()}
    (totals,) = list(evaluate(net, provider, [1]))[-1:]
    assert totals.sums["logprob"]["cost"] != pytest.approx(expected["logprob"]["cost"], rel=1e-2)


def test_several_batches_add_up(device):
    net, costs, provider = two_costs(device)
    *_, once = evaluate_views(net, costs, provider, [1])
    *_, twice = evaluate_views(net, costs, provider, [1, 2])
    assert (once.cases, twice.cases) == (17, 34)
    assert twice.averages() == {name: pytest.approx(metrics) for name, metrics in once.averages().items()}


def test_views_that_are_all_the_same_give_the_ordinary_test(device):
    net, costs, provider = two_costs(device)
    provider = Views(provider.images[3:4], provider.labels)
    *_, ordinary = evaluate(net, provider, [1])
    *_, found = evaluate_views(net, costs, provider, [1])
    expected = {name: metrics for name, metrics in ordinary.averages().items() if name != "norms"}
    assert found.averages() == {name: pytest.approx(metrics, rel=1e-6) for name, metrics in expected.items()}


@pytest.mark.parametrize("gpu", ["gpu=0,1\n", "gpu=1\n"])
def test_on_several_devices(device, gpu):
    net, costs, provider = two_costs(device, devices=2, gpu=gpu)
    *_, totals = evaluate_views(net, costs, provider, [1])
    expected = worked_out(net, provider)
    assert totals.sums == {name: pytest.approx(metrics, rel=1e-5) for name, metrics in expected.items()}


@pytest.mark.gpu
def test_on_cuda(cuda_device):
    net, costs, provider = two_costs(cuda_device("fp32"))
    *_, totals = evaluate_views(net, costs, provider, [1])
    expected = worked_out(net, provider)
    assert totals.sums == {name: pytest.approx(metrics, rel=1e-4) for name, metrics in expected.items()}


def test_children_are_told_with_their_parents(device):
    net, costs, provider = two_costs(device, children="children=aside")
    *_, totals = evaluate_views(net, costs, provider, [1])
    expected = worked_out(net, provider)
    both = {metric: (expected["aside"][metric] + expected["logprob"][metric]) / 17 for metric in expected["aside"]}
    assert totals.averages() == {"logprob": pytest.approx(both, rel=1e-5)}


@pytest.mark.parametrize(("labels", "told", "kept"), [
    ("labels", ["aside", "logprob"], ["probs", "probs3"]), ("fc0", ["aside"], ["probs3"]),
])  # fmt: skip
def test_labels_have_to_come_from_the_data(labels, told, kept):
    text = TWO_COSTS.replace("GPU", "").replace("CHILDREN", "").replace("labels,probs\n", f"{labels},probs\n")
    if labels == "fc0":
        text = text.replace("[fc1]\n", "[fc0]\ntype=fc\ninputs=data\noutputs=1\ninitW=0.1\n[fc1]\n")
    graph = graph_of(text, TWO_PARAMS + (f"[fc0]\n{RATES}" if labels == "fc0" else ""), image=(2, 3, 4))
    assert [cost.name for cost in keep_probabilities(graph)] == told
    assert [name for name in ("probs", "probs3") if graph[name].kept] == kept


def test_a_net_that_tells_no_classes():
    text = LAYERS.replace("[logprob]\ntype=cost.logreg\ninputs=labels,probs", "[far]\ntype=cost.sum2\ninputs=probs")
    text = text.replace("[labels]\ntype=data\ndataIdx=1\n", "")
    graph = graph_of(text, f"{PARAMS}[far]\ncoeff=1\n", image=(3, 8, 8))
    with pytest.raises(ConvnetError, match=r"^--multiview: .* of type cost\.logreg, found 'far' of type cost\.sum2$"):
        keep_probabilities(graph)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run that has ended: 27 test cases in batches 4, 5, 6 of 12, 12 and 3; images of 10x10, of which 8x8 are cut."""
    return Place(tmp_path_factory.mktemp("ended"), test=27).uninterrupted(epochs=1, batch_size=12)


def result_of(ended, **given):
    told = []
    named = {name.replace("_", "-"): value for name, value in given.items() if name != "multiview"}
    multiview = given.get("multiview", True)
    found = run_test(ended.run, named, CPU, lambda *now: told.append(now), multiview=multiview)
    return SimpleNamespace(result=found, told=told, costs=found.costs["logprob"])


def test_a_checkpoint_in_ten_views(ended):
    """What the net says of every view alone, averaged here."""
    provider, net = ended.session.provider, ended.net
    net.graph["probs"].kept = True
    kept = open_net(ended.session, CPU, initial=False)
    kept.set_state(net.state())
    cost = errors = 0.0
    for number in (4, 6):
        averaged = np.zeros((provider.cases(number), 3))
        for view in range(VIEWS):
            images, labels = provider.get_batch(number, 1, train=False, view=view)
            for case in range(len(images)):
                kept.test_minibatch([images[case : case + 1], labels[case : case + 1]])
                averaged[case] += kept.output("probs", 1)[0] / VIEWS
        right = averaged[np.arange(len(labels)), labels[:, 0].astype(int)]
        cost, errors = cost - np.log(right).sum(), errors + (averaged > right[:, None]).any(axis=1).sum()
    found = result_of(ended, test_range=[4, 6])
    assert found.costs == pytest.approx({"cost": cost / 15, "error": errors / 15, "topk_error": errors / 15}, rel=1e-5)
    assert found.told == [(0, 15), (8, 15), (12, 15), (15, 15)]
    assert (found.result.cases, found.result.views, found.result.left_out) == (15, VIEWS, [])
    assert found.result.summary()["views"] == 10
    ordinary = result_of(ended, test_range=[4, 6], multiview=False)
    assert (ordinary.result.summary()["views"], ordinary.result.left_out) == (1, [])
    assert ordinary.costs["cost"] != pytest.approx(cost / 15, rel=1e-4)


def test_images_that_are_not_cropped_have_no_views(tmp_path):
    run = Place(tmp_path, params=PARAMS.replace("crop=8\n", "")).uninterrupted(epochs=1)
    with pytest.raises(ConvnetError, match="crop"):
        result_of(run)


@pytest.mark.parametrize("multiview", [False, True])
def test_the_provider_is_closed_whatever_happens(ended, monkeypatch, multiview):
    closed = []

    def close(provider):
        closed.append(provider)

    monkeypatch.setattr(type(ended.session.provider), "close", close)
    result_of(ended, multiview=multiview)
    assert len(closed) == 1

    def broken(*_, **__):
        raise ConvnetError("image 7 is broken")

    monkeypatch.setattr(type(ended.session.provider), "open_batch", broken)
    with pytest.raises(ConvnetError, match="image 7 is broken"):
        result_of(ended, multiview=multiview)
    assert len(closed) == 2
