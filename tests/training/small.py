"""A small net with everything that draws random numbers, its data, and short ways to train it."""

from pathlib import Path

import numpy as np

from convnet.backends import DeviceOptions
from convnet.training.runs import continued_run, new_run
from convnet.training.trainer import MinibatchDone
from tests.net.nets import DATA

LAYERS = (
    DATA
    + """
[scale]
type=neuron
inputs=data
neuron=linear[0.01,0]
[conv1]
type=conv
inputs=scale
channels=3
filters=6
filterSize=3
padding=1
initW=0.2
neuron=relu
[pool1]
type=pool
inputs=conv1
pool=max
channels=6
sizeX=3
stride=2
[drop]
type=dropout
inputs=pool1
[fc]
type=fc
inputs=drop
outputs=3
initW=0.1
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
PARAMS = """
[train]
batch-size=20
mini=8
epochs=3
crop=8
noise=0.1
shuffle=true
test-freq=1
seed=7
[conv1]
epsW=dexp[base=0.05;tgtFactor=10;numSteps=3]
epsB=0.1
momW=0.9
momB=0.9
wc=0.01
[fc]
epsW=linear[base=0.05;tgtFactor=4]
epsB=0.1
momW=0.9
momB=0.8
[drop]
keep=0.6
"""
MINIBATCHES = 15  # 3 epochs of batches of 20 and 16 cases, 8 cases in a minibatch


class Place:
    """A folder with the net's files and its data (36 training and 10 test images of 3x10x10)."""

    def __init__(self, folder: Path, params=PARAMS, train=36, test=10):
        folder.mkdir(exist_ok=True)
        self.folder, self.runs = folder, folder / "runs"
        self.layers, self.params, self.data = folder / "net.cfg", folder / "params.cfg", folder / "data.npz"
        self.layers.write_text(LAYERS)
        self.params.write_text(params)
        random = np.random.default_rng(5)
        np.savez(
            self.data,
            train_images=random.integers(0, 256, (train, 10, 10, 3), np.uint8),
            train_labels=np.arange(train) % 3,
            test_images=random.integers(0, 256, (test, 10, 10, 3), np.uint8),
            test_labels=np.arange(test) % 3,
        )

    def start(self, threads=2, device=None, **given):
        """A trainer of a new run; options by name, `_` standing for `-`."""
        options = {"data": str(self.data), **_named(given)}
        where = device or DeviceOptions("cpu", threads)
        return new_run(str(self.layers), str(self.params), options, self.runs, where)

    def uninterrupted(self, **given):
        """The trainer of a run that has ended."""
        trainer = self.start(**given)
        finish(trainer)
        return trainer


def resume(path, params=None, threads=2, **given):
    """A trainer that goes on with a run or a checkpoint."""
    return continued_run(Path(path), params, _named(given), DeviceOptions("cpu", threads))


def finish(trainer):
    """Train to the end; the events."""
    return list(trainer.run_training())


def stop_after(trainer, minibatches):
    """Train that many minibatches, then stop as Ctrl-C does; the events."""
    events, done = [], 0
    for event in trainer.run_training():
        events.append(event)
        done += isinstance(event, MinibatchDone)
        if done == minibatches:
            trainer.stop = True
    return events


def files_of(folder):
    """{path relative to the folder: content} of all files in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _named(given):
    return {name.replace("_", "-"): value for name, value in given.items()}
