"""benchmarks/peer.py: the net in PyTorch that speed is compared with gives what convnet gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.net import ConvNet
from tests.net.nets import DATA, graph_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[peer])")
pytestmark = pytest.mark.peer

CASES, IMAGE = 5, (3, 13, 18)
CONV = (
    "[conv]\ntype=conv\ninputs=data\nchannels=3\nfilters=8\nfilterSize=4\nstride=2\npadding=1\ninitW=0.3\nneuron=relu\n"
)
SOFTMAX = "[probs]\ntype=softmax\ninputs=fc\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
ENDS = "[fc]\ntype=fc\noutputs=4\ninitW=0.3\ninitB=0.2\ninputs="

# What stands between conv, 8 maps of 7x9 whose last windows hang over the lower edge, and the classifier.
BETWEEN = {
    "pools": "[a]\ntype=pool\ninputs=conv\npool=max\nchannels=8\nsizeX=3\nstride=2\n"
    "[last]\ntype=pool\ninputs=a\npool=avg\nchannels=8\nsizeX=2\nstride=2\n",
    "cmrnorm": "[last]\ntype=cmrnorm\ninputs=conv\nchannels=8\nsize=5\n",
    "rnorm": "[last]\ntype=rnorm\ninputs=conv\nchannels=8\nsize=3\n",
    "groups": "[last]\ntype=conv\ninputs=conv\nchannels=8\ngroups=2\nfilters=3\nfilterSize=3\npadding=1\ninitW=0.3\n",
    "local": "[last]\ntype=local\ninputs=conv\nchannels=8\nfilters=5\nfilterSize=3\npadding=1\ninitW=0.3\ninitB=0.1\n",
    "local in groups, over the edge": "[last]\ntype=local\ninputs=conv\nchannels=8\ngroups=2\nfilters=3\nfilterSize=4\n"
    "padding=1\nstride=2\ninitW=0.3\ninitB=0.1\nneuron=logistic\n",
}
NORM = "[last]\nscale=1.0\npow=0.75\nminDiv=2\n"


@pytest.fixture(params=BETWEEN)
def graph(request: pytest.FixtureRequest) -> Any:
    between = BETWEEN[request.param]
    learning = ["conv", "fc", *(["last"] if "initW" in between else [])]
    params = "".join(f"[{name}]\nepsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\nwc=0\n" for name in learning)
    params += NORM if "norm" in request.param else ""
    return graph_of(DATA + CONV + between + ENDS + "last\n" + SOFTMAX, params + "[logprob]\ncoeff=1\n", image=IMAGE)


def in_its_order(matrix: np.ndarray, module: Any) -> np.ndarray:
    """Weights or their gradients, as convnet tells them, in the shape and order that the module holds them in."""
    shape = tuple(module.weight.shape)
    if type(module).__name__ != "Local":
        return matrix.T.reshape(shape)
    windows, rows, filters = shape
    groups = module.groups
    parts = matrix.reshape(windows, rows // groups, groups, filters)
    return parts.transpose(0, 2, 1, 3).reshape(shape)


def parameters(graph: Any, model: Any) -> dict[str, tuple[Any, Any]]:
    """By convnet's names: PyTorch's parameter, and what brings convnet's matrix into its order."""
    found = {}
    modules = [module for module in model.modules() if hasattr(module, "weight")]
    for node, module in zip([node for node in graph.nodes if node.parameters], modules, strict=True):
        found[f"{node.name}.weights.0"] = module.weight, lambda matrix, module=module: in_its_order(matrix, module)
        found[f"{node.name}.biases"] = module.bias, lambda matrix, shape=module.bias.shape: matrix.reshape(shape)
    return found


def test_cost_and_gradients_are_convnets(graph: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.peer import peer_of

    net, model = ConvNet(graph, device, mini=CASES, seed=3), peer_of(graph)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((CASES, IMAGE[1], IMAGE[2], IMAGE[0])).astype(np.float32)
    labels = generator.integers(0, 4, (CASES, 1)).astype(np.float32)
    state = net.state()
    biases = [name for name in state if name.endswith(".biases")]
    state |= {name: generator.standard_normal(state[name].shape).astype(np.float32) for name in biases}
    net.set_state(state)
    pairs = parameters(graph, model)
    with torch.no_grad():
        for name, (parameter, order) in pairs.items():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(order(state[name]))))
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels).reshape(-1).long()
    cost = torch.nn.functional.cross_entropy(model(x), y, reduction="sum")
    cost.backward()
    assert net.compute_gradients([images, labels])["logprob"]["cost"] == pytest.approx(cost.item(), rel=1e-4)
    for name, (parameter, order) in pairs.items():
        expected = parameter.grad.numpy()
        assert np.abs(expected).max() > 1e-3, f"{name} has no gradient: the comparison would show nothing"
        found = order(net.store.get("gradients", net.parameter(name)))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=name)
