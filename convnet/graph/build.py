"""From two cfg files to a layer graph. All problems of both files are reported together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convnet.config.keys import REQUIRED, Key, read_values
from convnet.config.nearest import nearest
from convnet.config.reader import CfgFile, Section
from convnet.config.report import Place, Report
from convnet.graph.checks import check_gradients_pass, check_uses
from convnet.graph.costs import check_children, link_cost, merge_gradients
from convnet.graph.dialect import is_of_2012
from convnet.graph.layer_graph import LayerGraph, Node, link_consumers
from convnet.graph.neurons import detached_nodes
from convnet.graph.parameters import attach_parameters, check_functions
from convnet.graph.placement import check_devices, check_replicas, place, place_costs_of_data
from convnet.layers import layer_type, unknown_type
from convnet.layers.base import Layer, LayerReport
from convnet.layers.common import GPU, IGNORED, INPUTS, common_keys, common_params
from convnet.shape import Shape
from convnet.weights.schedule import Decay

TRAIN_SECTION = "train"  # of the parameter file: options of the command, unless a layer bears the name


def build_graph(layers: CfgFile, params: CfgFile | None, data_shapes: Sequence[Shape], report: Report) -> LayerGraph:
    """The graph of the net that the two files describe, for data of these shapes (one for each dataIdx).

    Without a parameter file the graph can be described but not trained.

    Raises:
        ConfigError: everything that is wrong in the files, including what `report` held before.
    """
    nodes = _Builder(layers, params, data_shapes, report).build()
    check_uses(layers, report)
    check_gradients_pass(nodes, report)
    report.raise_if_errors()
    link_consumers(nodes)
    place_costs_of_data(nodes)
    check_replicas(nodes, report)
    report.raise_if_errors()
    merge_gradients(nodes)
    return LayerGraph(nodes)


def check_files(
    layers: CfgFile, params: CfgFile | None, report: Report, *, devices: int | None = None, functions: bool = False
) -> None:
    """Check what can be checked of the two files before the shapes of the data are known: all but shapes.

    devices: how many the run has; None for a net that is only described, on any. functions: look for the functions of
    initWFunc and initBFunc, too, which imports the user's modules.

    Raises:
        ConfigError: as `build_graph`.
    """
    _Builder(layers, params, None, report, devices, functions).build()
    # Without an error the same is said together with what the shapes show.
    if report.errors:
        check_uses(layers, report)
    report.raise_if_errors()


class _Builder:
    """Builds the nodes of all sections; without `data_shapes` only reads and checks what is written in the files.

    devices, functions: as in `check_files`.
    """

    def __init__(
        self, layers: CfgFile, params: CfgFile | None, data_shapes: Sequence[Shape] | None, report: Report,
        devices: int | None = None, functions: bool = False,
    ) -> None:  # fmt: skip
        self.layers, self.params, self.report = layers, params, report
        self.devices, self.functions = devices, functions
        self.of_2012 = is_of_2012(layers, params)
        self.data_shapes = None if data_shapes is None else list(data_shapes)
        # By section, the node that consumers are linked to; None after an error.
        self.built: dict[str, Node | None] = {}
        self.nodes: list[Node] = []

    def build(self) -> list[Node]:
        self._check_params_file()
        if not self.layers.sections and self.layers.readable:
            self.report.error("expected at least one [layer], found none", place=Place(self.layers.path, 0))
        for section in self.layers.sections.values():
            self._add(section)
        self._note_unused_sections()
        return self.nodes

    def _check_params_file(self) -> None:
        """Report a layer file in the place of the parameter file once, instead of each of its keys."""
        sections = self.params.sections.values() if self.params else ()
        layer = next((s for s in sections if "type" in s.entries and s.entries["type"].value == "data"), None)
        if self.params is not None and layer is not None:
            text = f"expected a parameter file; this looks like a layer file: [{layer.name}] has type=data"
            self.report.error(text, place=Place(self.params.path, 0))
            self.params = replace(self.params, sections={}, readable=False)

    def _add(self, section: Section) -> None:
        cls = self._layer_type(section)
        self.built[section.name] = None
        if cls is None:
            return
        early = tuple(replace(key, default=None) for key in _params(cls) if key.in_layers)
        keys = (*common_keys(cls), *cls.keys, *early)
        names = self._input_names(section, cls)
        elsewhere = f"belongs into the parameter file, section [{section.name}]"
        values = read_values(section, keys, ignored=(*cls.ignored, *IGNORED), inputs=max(1, len(names)),
                             report=self.report, also_allowed=("type", "inputs"),
                             misplaced=dict.fromkeys(_names(_params(cls)), elsewhere))  # fmt: skip
        self._check_for_run(values, section)
        check_children(section, values, self.layers, self.built, LayerReport(self.report, section))
        whole = len(values) == len(keys)
        found = {key.name: values.pop(key.name, None) for key in early}
        learning = self._learning(section, cls, len(names), {k.name: found[k.name] for k in early if k.given(section)})
        inputs = self._inputs(section, names)
        # What has an error is missing: a layer is made only of what it needs.
        whole = whole and len(learning) == len(_params(cls)) and len(inputs) == len(names)
        known = inputs if cls.inputs_range[1] else self.data_shapes
        if whole and known:
            self._finish(cls(section.name, names, values, learning), inputs, section)

    def _check_for_run(self, values: Mapping[str, Any], section: Section) -> None:
        """Report what is right in a net that is described, but not in the one to be run."""
        own = LayerReport(self.report, section)
        if self.devices is not None and values.get(GPU.name):
            check_devices(values[GPU.name], self.devices, own)
        if self.functions:
            check_functions(values, own)

    def _layer_type(self, section: Section) -> type[Layer] | None:
        entry = section.entries.get("type")
        if entry is None:
            self._error(section, "type", "expected a layer type, but the key is missing")
            return None
        if entry.broken:
            return None
        cls = layer_type(entry.value)
        if cls is None:
            self._error(section, "type", unknown_type(entry.value))
        return cls

    def _input_names(self, section: Section, cls: type[Layer]) -> list[str]:
        fewest, most = cls.inputs_range
        entry = section.entries.get("inputs")
        if most == 0:
            if entry:
                self._error(section, "inputs", f"a layer of type '{cls.type}' has no inputs, found '{entry.value}'")
            return []
        if entry is None:
            self._error(section, "inputs", "expected the names of the input layers, but the key is missing")
            return []
        names: list[str] = read_values(section, [INPUTS], report=self.report,
                                       also_allowed=set(section.entries)).get("inputs", [])  # type: ignore[assignment]  # fmt: skip
        if names and not fewest <= len(names) <= most:
            wanted = str(fewest) if fewest == most else f"at least {fewest}"
            self._error(section, "inputs", f"expected {wanted} input{'s' * (wanted != '1')}, found {len(names)}")
            return []
        return names

    def _inputs(self, section: Section, names: Sequence[str]) -> list[Node]:
        """The layers of these names, less those that something is wrong with."""
        found = []
        for name in names:
            node = self.built.get(name)
            if name not in self.built or name == section.name:
                self._error(section, "inputs", f"input layer '{name}' is not defined{self._where(name, section.name)}")
            elif node is not None and node.layer.is_cost:
                self._error(section, "inputs", f"input layer '{name}' does not produce any output")
            elif node is not None:
                found.append(node)
        return found

    def _where(self, name: str, asking: str) -> str:
        if name == asking:
            return ": a layer cannot be its own input"
        if name in self.layers.sections:
            return f" before this layer; it is at {self.layers.sections[name].place}, and inputs come first"
        for key in ("neuron", "dropout"):
            below = self.layers.sections.get(name.removesuffix(f"_{key}"))
            if below is not None and key in below.entries:
                return f"; write '{below.name}': what reads it gets its {key}'s output"
        near = nearest(name, self.built)
        return f"; did you mean '{near}'?" if near else ""

    def _learning(self, section: Section, cls: type[Layer], inputs: int, early: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameter file; `early` are those of its keys that the layer file has."""
        keys = [replace(key, default=None) if key.name in early else key for key in _params(cls)]
        if self.params is None:
            empty = {key.name: None if key.default is REQUIRED else key.default for key in keys}
            learning = {key.name: [empty[key.name]] * inputs if key.per_input else empty[key.name] for key in keys}
            return {**learning, **early}
        params = self.params.sections.get(section.name)
        if params is None and any(key.default is REQUIRED for key in keys):
            if self.params.readable:
                self._section_missing(section, cls, self.params)
            return {}
        theirs = ["type", "inputs", *_names((*common_keys(cls), *cls.keys))]
        learning = read_values(params, keys, ignored=(*cls.ignored, *IGNORED), inputs=max(1, inputs),
                               report=self.report,
                               misplaced=dict.fromkeys(theirs, "belongs into the layer file"))  # fmt: skip
        if params is not None:
            self._note_rising(section, params, learning)
        missing = {key.name for key in keys if key.name in early and not key.given(params)}
        return {**learning, **{name: early[name] for name in missing}}

    def _note_rising(self, section: Section, params: Section, learning: Mapping[str, Any]) -> None:
        """Note the keys whose schedules raise the rate: a factor below 1 is mostly meant to be its inverse."""
        for key in ("epsW", "epsB", "schedW", "schedB"):
            value = learning.get(key)
            for rate in value if isinstance(value, list) else [value]:
                shape = rate.shape if isinstance(rate, Decay) else rate
                if shape is not None and shape.target_factor < 1:
                    text = f"rates are divided by tgtFactor: {shape.target_factor:g} makes this one rise"
                    LayerReport(self.report, section, params).note(text, key)

    def _section_missing(self, section: Section, cls: type[Layer], params: CfgFile) -> None:
        near = nearest(section.name, set(params.sections) - set(self.layers.sections))
        hint = f"; did you mean its section [{near}]?" if near else ""
        keys = ", ".join(key.name for key in _params(cls) if key.default is REQUIRED)
        text = f"a layer of type '{cls.type}' needs a section [{section.name}] with {keys} in {params.path}{hint}"
        self.report.error(text, place=section.place, section=section.name)

    def _finish(self, layer: Layer, inputs: list[Node], section: Section) -> None:
        params = self.params.sections.get(section.name) if self.params else None
        own = LayerReport(self.report, section, params)
        layer.input_shapes = [node.layer.shape for node in inputs] if inputs else self.data_shapes or []
        node = Node(layer, section, inputs, params=params)
        link_cost(node, self.built)
        shape = layer.output_shape(own)
        gpus = place(layer, inputs, layer.values.get(GPU.name), own)
        if shape is None or gpus is None:
            return
        layer.shape, node.gpus = shape, gpus
        attach_parameters(node, {n.name: n for n in self.nodes}, own, of_2012=self.of_2012)
        self.nodes += [node, *detached_nodes(node, taken=set(self.layers.sections))]
        self.built[section.name] = self.nodes[-1]

    def _note_unused_sections(self) -> None:
        for name, section in (self.params.sections if self.params else {}).items():
            if name not in self.layers.sections and name != TRAIN_SECTION:
                near = nearest(name, [*self.layers.sections, TRAIN_SECTION])
                hint = f"; did you mean [{near}]?" if near else ""
                self.report.note(f"the net has no layer '{name}'{hint}", place=section.place, section=name)

    def _error(self, section: Section, key: str, text: str) -> None:
        LayerReport(self.report, section).error(text, key)


def _params(cls: type[Layer]) -> tuple[Key, ...]:
    """The keys of the parameter file that a layer type takes."""
    return (*cls.params, *common_params(cls))


def _names(keys: Sequence[Key]) -> list[str]:
    """The keys' names and other names, in lower case."""
    return [name for key in keys for name in key.names]
