"""Trains the net of cifar-rnorm in PyTorch, by the same recipe on the same images: what error to expect of them.

    python benchmarks/cifar_rnorm_peer.py cifar10-jpeg.tar.xz

Nothing of convnet takes part: images are read, and the net and its 140 epochs are written down, anew.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

MINI, BATCH = 128, 10_000  # a batch's last minibatch is short, and counts less
RATES = {1: 1.0, 121: 0.1, 131: 0.01}  # from an epoch on

Images = tuple[torch.Tensor, torch.Tensor]  # (case, channel, y, x) and classes


class Net(nn.Module):
    """cifar-rnorm: three convolutions with pooling, the first two with response normalization within maps."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 32, 1e-4), (32, 32, 1e-2), (32, 64, 1e-2)]
        self.convs = nn.ModuleList(nn.Conv2d(channels, filters, 5, padding=2) for channels, filters, _ in sizes)
        self.fc = nn.Linear(64 * 4 * 4, 10)
        for layer, std in zip([*self.convs, self.fc], [*(std for _, _, std in sizes), 1e-2], strict=True):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs of fc10 for x (case, 3, 32, 32)."""
        conv1, conv2, conv3 = self.convs
        x = normalized(functional.relu(functional.max_pool2d(conv1(x), 3, 2, ceil_mode=True)))
        x = normalized(functional.avg_pool2d(functional.relu(conv2(x)), 3, 2, ceil_mode=True))
        x = functional.avg_pool2d(functional.relu(conv3(x)), 3, 2, ceil_mode=True)
        return self.fc(x.flatten(1))

    def optimizer(self) -> torch.optim.SGD:
        """Momentum 0.9; decay 0.004 of the filters and 1 of fc10; biases learn twice as fast and do not decay."""
        groups = [
            {"params": [conv.weight for conv in self.convs], "weight_decay": 4e-3},
            {"params": [self.fc.weight], "weight_decay": 1.0},
            {"params": [layer.bias for layer in [*self.convs, self.fc]], "lr": 2e-3},
        ]
        return torch.optim.SGD(groups, lr=1e-3, momentum=0.9)


def normalized(x: torch.Tensor) -> torch.Tensor:
    """x / (1 + 5e-5 * mean of squares in a window of 3x3)^0.75, zeros around the map counted, too."""
    return x / (1 + 5e-5 * functional.avg_pool2d(x * x, 3, 1, 1)) ** 0.75


def read(path: Path) -> tuple[Images, Images]:
    """The training and the test images of an archive with folders train/CLASS and test/CLASS, less the mean image."""
    found: dict[bool, list[tuple[np.ndarray, str]]] = {True: [], False: []}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file and member.name.endswith(".jpg"):
                *_, part, name, _ = member.name.split("/")
                found[part == "train"].append((np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB")), name))
    names = sorted({name for _, name in found[True]})

    def tensors(images: list[tuple[np.ndarray, str]]) -> Images:
        pixels = np.stack([image for image, _ in images]).transpose(0, 3, 1, 2).astype(np.float32)
        return torch.from_numpy(pixels), torch.tensor([names.index(name) for _, name in images])

    (x, y), (x_test, y_test) = tensors(found[True]), tensors(found[False])
    mean, order = x.mean(0, keepdim=True), torch.randperm(len(x))
    return ((x - mean)[order], y[order]), (x_test - mean, y_test)


def minibatches(images: Images) -> Iterator[Images]:
    """All minibatches of an epoch, in order."""
    x, y = images
    for batch in range(0, len(x), BATCH):
        stop = min(batch + BATCH, len(x))
        for first in range(batch, stop, MINI):
            yield x[first : min(first + MINI, stop)], y[first : min(first + MINI, stop)]


def train(net: Net, optimizer: torch.optim.SGD, images: Images) -> float:
    """One epoch; the error of its minibatches, in percent."""
    wrong = 0
    for x, y in minibatches(images):
        outputs = net(x)
        optimizer.zero_grad()
        (functional.cross_entropy(outputs, y, reduction="sum") / MINI).backward()
        optimizer.step()
        wrong += int((outputs.argmax(1) != y).sum())
    return 100 * wrong / len(images[0])


@torch.no_grad()
def test(net: Net, images: Images) -> float:
    """The error, in percent."""
    return 100 * sum(int((net(x).argmax(1) != y).sum()) for x, y in minibatches(images)) / len(images[0])


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--epochs", default=140, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(archive: Path, epochs: int, threads: int) -> None:
    """Train, and print the errors of each epoch."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    images, tests = read(archive)
    net = Net()
    optimizer = net.optimizer()
    rates = [group["lr"] for group in optimizer.param_groups]
    for epoch in range(1, epochs + 1):
        factor = next(RATES[first] for first in sorted(RATES, reverse=True) if epoch >= first)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = factor * rate
        trained = train(net, optimizer, images)
        print(f"epoch {epoch}: training {trained:.2f} %, test {test(net, tests):.2f} %", flush=True)


if __name__ == "__main__":
    main()
