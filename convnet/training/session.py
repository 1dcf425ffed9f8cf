"""From options to something that can train or test: reads the files, opens the data, builds the net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convnet.config.kinds import Int
from convnet.config.reader import CfgFile, parse, read
from convnet.config.report import ConfigError, Report
from convnet.data import open_provider
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.errors import ConvnetError
from convnet.graph.build import build_graph, check_files
from convnet.graph.classes import output_layer, with_classes
from convnet.graph.label_matrix import with_label_matrix
from convnet.graph.layer_graph import LayerGraph
from convnet.layers.cost import LogisticRegression
from convnet.shape import Shape
from convnet.training.checkpoint import LAYERS, PARAMS, Checkpoint
from convnet.training.files import find_layers, find_params, include_folders
from convnet.training.fitting import without_old_path
from convnet.training.options import Options, from_plain, laid_over, merged, read_train_section


@dataclass
class NetFiles:
    """The two files of a net, if it has a parameter file, and the options that this sets.

    `stored`: they are a checkpoint's, which has the net's weights; `trained`: the number of classes it was trained on,
    if the net has one layer that tells classes.
    """

    layers: CfgFile
    params: CfgFile | None
    options: Options
    report: Report
    stored: bool = False
    trained: int | None = None

    def check(self, options: Options, *, devices: int | None = None, functions: bool = False) -> None:
        """Check what can be checked before the data is known; shapes are only if something else is wrong too.

        devices, functions: what the net needs to be run, as in `check_files`.

        Raises:
            ConfigError: everything that is wrong with the files.
        """
        try:
            check_files(self.layers, self.params, self.report, devices=devices, functions=functions)
        except ConfigError:
            if options["input"] is not None:
                build_graph(self.layers, self.params, describe_shapes(options, self.classes), self.report)
            raise

    def graph(self, shapes: Sequence[Shape], classes: int | None) -> LayerGraph:
        """The net's graph for data of these shapes.

        Raises:
            ConfigError: everything that is wrong with the files.
        """
        layers, params = self.layers, self.params
        if classes is not None and not self.report.errors:
            layers, params = with_classes(layers, params, classes, self.report)
        return build_graph(layers, params, shapes, self.report)

    @property
    def classes(self) -> int | None:
        """The number of outputs that the layer file gives the layer that tells classes, if it has such a layer.

        None also if it is written wrongly, which the report of the files says.
        """
        found = output_layer(self.layers)
        entry = found.entries.get("outputs") if found else None
        try:
            return Int(minimum=1).parse(entry.value) if entry else None
        except ValueError:
            return None


def read_files(layers: str, params: str | None, *, need_params: bool = True) -> NetFiles:
    """Read a net's files, named by path or by bare name. Problems inside them stay in the report until `graph`.

    Raises:
        ConvnetError: if a file is not found.
    """
    layer_path = find_layers(layers)
    params_path = find_params(params, layer_path, needed=need_params)
    report = Report()
    layer_file = with_label_matrix(read(layer_path, report, include_folders("layers-cfg")), report)
    params_file = read(params_path, report, include_folders("params-cfg")) if params_path else None
    return NetFiles(layer_file, params_file, read_train_section(params_file, layer_file, report), report)


def stored_files(checkpoint: Checkpoint, folder: Path, params: str | None) -> NetFiles:
    """The files of a checkpoint, with another parameter file if `params` names one.

    The other file's [train] section wins over the stored options, but not over those that the command line gave.
    """
    report = Report()
    layers = with_label_matrix(parse(checkpoint.layers, str(folder / LAYERS), report), report)
    stored, given_then = from_plain(checkpoint.options), from_plain(checkpoint.given)
    if params is None:
        parameter_file = parse(checkpoint.params, str(folder / PARAMS), report)
        return _of_trained(NetFiles(layers, parameter_file, stored, report), stored)
    path = find_params(params, folder / LAYERS)
    assert path is not None
    given = read(path, report, include_folders("params-cfg"))
    train = read_train_section(given, layers, report)
    return _of_trained(NetFiles(layers, given, laid_over(laid_over(stored, train), given_then), report), stored)


def _of_trained(files: NetFiles, stored: Options) -> NetFiles:
    """Files as those of a checkpoint that keeps the `stored` options."""
    return replace(files, stored=True, trained=stored.get("classes") or files.classes)


def data_options(options: Options) -> ProviderOptions:
    """The part of the options that data providers take."""
    return ProviderOptions(
        path=Path(options["data"]) if options["data"] is not None else None, provider=options["data-provider"],
        input=options["input"], crop=options["crop"], crop_border=options["crop-border"], flip=options["flip"],
        noise=options["noise"], scalar_mean=options["scalar-mean"], batch_size=options["batch-size"],
        test_share=options["test-share"], image_size=options["image-size"], seed=options["seed"],
        workers=options["workers"],
    )  # fmt: skip


@dataclass
class Session:
    """A net's graph with its data and the options in force."""

    files: NetFiles
    options: Options
    provider: DataProvider
    graph: LayerGraph
    given: Options


def open_session(files: NetFiles, given: Options, devices: int | None = None) -> Session:
    """Open the data and build the graph for it. `given`: the options that the command line sets, now or at first.

    devices: how many there are to run the net; None for as many as it asks for.

    With the built-in sample, the net gets as many outputs as the sample has classes, unless `classes` says otherwise.

    Raises:
        ConvnetError: if the files, the options or the data are wrong, or do not fit each other.
    """
    options = options_in_force(files, given)
    # Before the data is opened, which may take long.
    files.check(options, devices=devices, functions=not files.stored)
    if options["data"] is None and options["data-provider"] is None:
        describe_shapes(options)  # the sample has to fit something
    provider = open_provider(data_options(options))
    if files.trained is not None:
        _check_trained(files.trained, options["classes"], provider)
    elif provider.sample and options["classes"] is None and files.classes not in (None, provider.num_classes):
        options = {**options, "classes": provider.num_classes}
    graph = files.graph(provider.matrix_shapes, options["classes"])
    for cost in graph.costs:
        if isinstance(cost, LogisticRegression):
            _check_classes(cost, graph, files.layers, provider.num_classes)
    return Session(files, options, provider, graph, given)


def _check_trained(trained: int, asked: int | None, provider: DataProvider) -> None:
    """Raises ConvnetError if a net is to have other classes than it was trained on."""
    if asked not in (None, trained):
        raise ConvnetError(f"--classes: the net was trained on {trained} classes, found {asked}")
    has_matrix = len(provider.shapes) > 2  # of its own, which may tell other things than the label
    if not has_matrix and provider.num_classes != trained:
        raise ConvnetError(
            f"{provider.description}: the net was trained on {trained} classes, this data has {provider.num_classes}"
        )


def _check_classes(cost: LogisticRegression, graph: LayerGraph, layers: CfgFile, classes: int) -> None:
    """Raises ConvnetError unless the softmax below the cost has as many outputs as the data has classes."""
    softmax, below = graph[cost.inputs[1]], output_layer(layers)
    if softmax.layer.shape.features == classes:
        return
    found = f", the number of classes in the data, found {softmax.layer.shape.features}"
    if below is None:
        raise ConvnetError(f"{softmax.section.place}: [{softmax.name}] expected an input of {classes} numbers{found}")
    raise ConvnetError(
        f"{below.entries['outputs'].place}: [{below.name}] outputs: expected {classes}{found}; --classes {classes} "
        "fits the net to this data"
    )


def describe_shapes(options: Options, classes: int | None = None) -> list[Shape]:
    """The shapes of the data that `input` promises: images, labels, and the label matrix if the classes are known.

    classes: as many as the net's files say; the option of this name wins.

    Raises:
        ConvnetError: if nothing says what the input is.
    """
    if options["input"] is None:
        raise ConvnetError("--input: expected the net's input, such as 3x32x32; no [train] section tells it")
    known = options["classes"] or classes
    return [Shape.of_maps(*options["input"]), Shape(1), *([Shape(known)] if known else [])]


def options_in_force(files: NetFiles, given: Options) -> Options:
    """Defaults, then the [train] section (or the checkpoint's options), then what the command line gave."""
    return merged(without_old_path(files.options, given), given)
