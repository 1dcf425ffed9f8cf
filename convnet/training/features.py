"""Writes what a layer gives for the test cases: features for other programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from convnet.backends import DeviceOptions
from convnet.config.nearest import nearest
from convnet.data.pickle2 import pickle2
from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.net import ConvNet
from convnet.training.batches import DataBatch, batches_to_test
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.memory import need_told
from convnet.training.ranges import checked_range
from convnet.training.runs import load_weights, open_net, reopened_session

Array = np.ndarray[Any, Any]

ORIGINAL = "original"  # the form other than npz
_ASIDE = ".writing-"


@dataclass(frozen=True)
class Written:
    """What was written: the numbers of a layer for each test case, in one file for each of `batches`."""

    checkpoint: Path
    data: str
    layer: str
    features: int
    cases: int
    batches: list[int]


def write_features(
    path: Path, layer: str, out: Path, form: str, given: Mapping[str, Any], device: DeviceOptions,
    progress: Callable[[int, int], None],
) -> Written:  # fmt: skip
    """Write a layer's output for the test batches of a checkpoint's data, or of other data, into a new folder `out`.

    A layer with `neuron=` gives what its neuron gives. Features are in cuda-convnet's order: channel slowest, then y,
    then x. form "npz": data_batch_N.npz with data (cases, features) float32 and labels (cases,) int64. form
    "original": what cuda-convnet2 writes, pickles data_batch_N of data and labels (1, cases) float32, and batches.meta.

    progress: called before and after every minibatch with the number of cases done and of all cases.

    Raises:
        ConvnetError: if there is no such checkpoint or layer, the data does not fit it, or `out` is there already or
            cannot be written. Nothing is left behind then.
    """
    if out.exists():
        raise ConvnetError(f"{out}: expected a folder that is not there yet")
    folder = newest(path)
    checkpoint = Checkpoint.load(folder)
    session = reopened_session(checkpoint, folder, None, given, device)
    provider, node = session.provider, output_node(session.graph, layer)
    batches = checked_range(session.options["test-range"], provider.test_batches, provider, "test-range")
    node.kept = True
    net = open_net(session, device, initial=False)
    load_weights(net, checkpoint, folder)
    features, total = node.layer.shape.features, sum(map(provider.cases, batches))
    opened = closing(batches_to_test(provider, batches, net.mini))
    with need_told(net), _Folder(out) as files, closing(provider), opened as data:
        done = 0
        for batch in data:
            files.write_batch(batch.batchnum, form, *_outputs(net, node.name, batch, progress, done, total))
            done += batch.cases
        if form == ORIGINAL:
            size = provider.cases(batches[0])
            files.write_meta(source_model=str(folder.resolve()), num_vis=features, batch_size=size)
    return Written(folder, provider.describe(), node.name, features, total, batches)


def output_node(graph: LayerGraph, name: str) -> Node:
    """The layer whose output is that of layer `name` of the layer file: its neuron's, if it has one.

    Raises:
        ConvnetError: if there is no such layer, or it computes nothing.
    """
    able = {}
    for node in graph.nodes:
        if node.layer.type != "data" and not node.layer.is_cost:
            able[node.name] = able[node.section.name] = node  # the last one of a section is what others read
    if name in able:
        return able[name]
    near = nearest(name, able)
    hint = f"did you mean '{near}'?" if near else f"the net's layers are {', '.join(able)}"
    raise ConvnetError(f"--layer: expected a layer that computes features, found '{name}'; {hint}")


def _outputs(
    net: ConvNet, name: str, batch: DataBatch, progress: Callable[[int, int], None], done: int, total: int
) -> tuple[Array, Array]:
    """What a layer gives for the cases of a batch, before which `done` of `total` cases were done, and their labels."""
    found, labels = [], []
    for minibatch in batch.minibatches:
        progress(done, total)
        net.test_minibatch(minibatch)
        found.append(net.output(name, len(minibatch[0])))
        labels.append(np.array(minibatch[1]))
        done += len(minibatch[0])
    progress(done, total)
    return np.concatenate(found), np.concatenate(labels)


class _Folder:
    """A folder that appears when it is whole: it is written under another name beside its own."""

    def __init__(self, out: Path) -> None:
        self._out, self._aside = out, out.parent / f"{_ASIDE}{out.name}"

    def __enter__(self) -> _Folder:
        shutil.rmtree(self._aside, ignore_errors=True)  # of a process that was killed
        try:
            self._aside.mkdir(parents=True)
        except OSError as error:
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._aside.rename(self._out)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)

    def write_batch(self, number: int, form: str, features: Array, labels: Array) -> None:
        """Write what belongs to one data batch. features: (cases, features), labels: (cases, 1), float32."""
        name = f"data_batch_{number}"
        if form == ORIGINAL:
            try:
                self._write(name, pickle2({"data": features, "labels": labels.reshape(1, -1)}))
            except ValueError as error:
                raise ConvnetError(f"{self._out}: {name}: {error}; --form npz holds more") from error
            return
        try:
            np.savez(self._aside / f"{name}.npz", data=features, labels=labels.reshape(-1).astype(np.int64))
        except OSError as error:
            raise self._failed(error) from error

    def write_meta(self, **values: str | int) -> None:
        """Write batches.meta, as cuda-convnet2 does."""
        self._write("batches.meta", pickle2(values))

    def _write(self, name: str, content: bytes) -> None:
        try:
            (self._aside / name).write_bytes(content)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ConvnetError:
        return ConvnetError(f"{self._out}: the features cannot be written: {error}")
