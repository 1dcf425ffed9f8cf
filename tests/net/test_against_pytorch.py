"""Three training steps of a net with everything AlexNet has, beside the same net in PyTorch."""

import numpy as np
import pytest

from convnet.net import ConvNet

from .nets import DATA, graph_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[peer])")
pytestmark = pytest.mark.peer
F = torch.nn.functional

# Grouped convolution, overlapping pooling with windows over the edge, response normalization across maps with an alpha
# that matters, biases other than 0, two fully-connected layers, momentum, weight decay, a rate for biases of its own.
LAYERS = (
    DATA
    + """
[conv1]
type=conv
inputs=data
channels=3
filters=12
filterSize=5
stride=2
padding=1
initW=0.2
neuron=relu
[norm1]
type=cmrnorm
inputs=conv1
channels=12
size=5
[pool1]
type=pool
pool=max
inputs=norm1
channels=12
sizeX=3
stride=2
[conv2]
type=conv
inputs=pool1
channels=12
filters=5
groups=2
filterSize=3
padding=1
initW=0.2
initB=1
neuron=relu
[pool2]
type=pool
pool=avg
inputs=conv2
channels=10
sizeX=3
stride=2
[fc3]
type=fc
inputs=pool2
outputs=20
initW=0.2
initB=0.5
neuron=relu
[fc4]
type=fc
inputs=fc3
outputs=6
initW=0.2
[probs]
type=softmax
inputs=fc4
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
EPS_W, EPS_B, MOMENTUM, DECAY, MINI = 0.05, 0.1, 0.9, 0.02, 8
WEIGHTS = f"epsW={EPS_W}\nepsB={EPS_B}\nmomW={MOMENTUM}\nmomB={MOMENTUM}\nwc={DECAY}\n"
PARAMS = "".join(f"[{name}]\n{WEIGHTS}" for name in ("conv1", "conv2", "fc3", "fc4"))
PARAMS += "[norm1]\nscale=1.0\npow=0.75\nminDiv=2\n[logprob]\ncoeff=1\n"


class Peer:
    """The same net in PyTorch; weights (rows, columns) as convnet gives them."""

    def __init__(self, state):
        self.weights = {name: torch.tensor(value) for name, value in state.items() if not name.endswith(".inc")}
        self.increments = {name: torch.zeros_like(value) for name, value in self.weights.items()}

    def filters(self, layer, channels, size):
        return self.weights[f"{layer}.weights.0"].T.reshape(-1, channels, size, size)

    def biases(self, layer):
        return self.weights[f"{layer}.biases"].reshape(-1)

    def cost(self, images, labels):
        x = torch.tensor(images).permute(0, 3, 1, 2)
        x = F.pad(x, (1, 2, 1, 2))  # the last window hangs over the right and the bottom
        x = F.relu(F.conv2d(x, self.filters("conv1", 3, 5), self.biases("conv1"), stride=2))
        x = F.local_response_norm(x, 5, alpha=1.0, beta=0.75, k=2.0)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = F.relu(F.conv2d(x, self.filters("conv2", 6, 3), self.biases("conv2"), padding=1, groups=2))
        x = F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)
        x = x.flatten(1)
        x = F.relu(x @ self.weights["fc3.weights.0"] + self.weights["fc3.biases"])
        x = x @ self.weights["fc4.weights.0"] + self.weights["fc4.biases"]
        return F.cross_entropy(x, torch.tensor(labels.reshape(-1)).long(), reduction="sum")

    def step(self, images, labels):
        for weights in self.weights.values():
            weights.requires_grad_()
        cost = self.cost(images, labels)
        gradients = torch.autograd.grad(cost, list(self.weights.values()))
        for (name, weights), gradient in zip(self.weights.items(), gradients, strict=True):
            eps, decay = (EPS_B, 0.0) if name.endswith("biases") else (EPS_W, DECAY)
            held = weights.detach()
            increment = MOMENTUM * self.increments[name] - eps * gradient / MINI - eps * decay * held
            self.increments[name], self.weights[name] = increment, held + increment
        return cost.item()


@pytest.mark.parametrize("cases", [MINI, MINI - 3], ids=["whole minibatch", "short minibatch"])
def test_three_steps_equal_pytorch(device, cases):
    net = ConvNet(graph_of(LAYERS, PARAMS, image=(3, 20, 17)), device, mini=MINI, seed=3)
    before, peer = net.state(), Peer(net.state())
    generator = np.random.default_rng(0)
    for _ in range(3):
        images = generator.standard_normal((cases, 20, 17, 3)).astype(np.float32)
        labels = generator.integers(0, 6, (cases, 1)).astype(np.float32)
        cost = net.train_minibatch([images, labels])["logprob"]["cost"]
        assert cost == pytest.approx(peer.step(images, labels), rel=1e-4)
    after = net.state()
    for name, expected in peer.weights.items():
        moved = np.abs(expected.numpy() - before[name]).max()
        assert moved > 1e-3, f"{name} has hardly moved: the comparison would show nothing"
        np.testing.assert_allclose(after[name], expected.numpy(), rtol=1e-4, atol=1e-4 * moved, err_msg=name)
