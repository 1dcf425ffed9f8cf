"""The base of all layer types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from convnet.config.keys import Ignored, Key
from convnet.config.reader import Section
from convnet.config.report import Place, Report
from convnet.layers.emitter import Emitter
from convnet.shape import Maps, Shape
from convnet.weights.parameter import Matrix

UNLIMITED = 1_000_000  # inputs


class LayerReport:
    """The report of one layer: problems are placed at the key's line, or at the section's."""

    def __init__(self, report: Report, section: Section, params: Section | None = None) -> None:
        self._report, self._sections = report, [section, *([params] if params else [])]

    def _place(self, key: str | None) -> Place:
        found = [s.entries[key.lower()].place for s in self._sections if key and key.lower() in s.entries]
        return found[0] if found else self._sections[0].place

    def error(self, text: str, key: str | None = None) -> None:
        """Record an error of this layer; `key` is the cfg key at fault."""
        self._report.error(text, place=self._place(key), section=self._sections[0].name, key=key)

    def note(self, text: str, key: str | None = None) -> None:
        """Record something about this layer that stops nothing."""
        self._report.note(text, place=self._place(key), section=self._sections[0].name, key=key)


class Layer(ABC):
    """A layer: what it takes from the two files, the shape it gives, and the operations it is made of.

    Class attributes declare the type: `keys` are read from the layer file, `params` from the parameter file (whose
    section is mandatory if `needs_params`), `ignored` are keys of the originals that mean nothing here. `values` and
    `learning` hold what was read, by key name.
    """

    type: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()  # names of the type in dialects
    inputs_range: ClassVar[tuple[int, int]] = (1, 1)
    keys: ClassVar[tuple[Key, ...]] = ()
    params: ClassVar[tuple[Key, ...]] = ()
    needs_params: ClassVar[bool] = False
    ignored: ClassVar[tuple[Ignored, ...]] = ()
    takes_neuron: ClassVar[bool] = True
    label_inputs: ClassVar[tuple[int, ...]] = ()  # inputs that are whole numbers, never rounded
    target_inputs: ClassVar[tuple[int, ...]] = ()  # inputs that the layer compares others with; they get no gradient
    is_cost: ClassVar[bool] = False
    # Whether bprop reads this layer's own output. If not, a neuron above may overwrite it.
    reads_own_output: ClassVar[bool] = False
    # Whether bprop gives its inputs a gradient. If not, there may be no weights that learn below it.
    passes_gradient: ClassVar[bool] = True
    # Whether fprop can apply the neuron above in the same pass.
    fuses_neuron: ClassVar[bool] = False
    # Whether the gradient of the output, which one cost alone reads, is given as that of the input; the graph says so.
    merged = False

    def __init__(self, name: str, inputs: Sequence[str], values: dict[str, Any], learning: dict[str, Any]) -> None:
        self.name, self.inputs = name, list(inputs)
        self.values, self.learning = values, learning
        self.input_shapes: list[Shape] = []
        self.shape = Shape(0)

    @abstractmethod
    def output_shape(self, report: LayerReport) -> Shape | None:
        """Check the layer against `self.input_shapes` and give its output's shape; None after reporting an error."""

    @property
    def weights(self) -> list[Matrix]:
        """The weight matrices, one for each input; known once the shape is."""
        return []

    @property
    def biases(self) -> Matrix | None:
        """The biases, if the layer has any."""
        return None

    @property
    def statistics(self) -> dict[str, Matrix]:
        """What fprop writes while training and testing reads, by name; kept with the weights, but never learned."""
        return {}

    @abstractmethod
    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Emit the steps that compute the output from the inputs."""

    @abstractmethod
    def bprop(self, plan: Emitter) -> None:
        """Emit the steps that compute the gradients of inputs and weights from the output's gradient."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def images(layer: Layer, index: int, channels: int, report: LayerReport, key: str = "channels") -> Maps | None:
    """The maps of input `index`, which should be `channels`; plain features are cut into square maps.

    Wrong channels are reported; the input's own maps are given nevertheless, so that mistakes above it are found too.
    None, after an error, if features cannot be cut.
    """
    shape, source = layer.input_shapes[index], layer.inputs[index]
    if shape.maps is not None:
        if shape.maps.channels != channels:
            wanted = f"{shape.maps.channels}, the channels of input '{source}' ({shape.maps})"
            report.error(f"expected {wanted}, found {channels}", key)
        return shape.maps
    maps = shape.square_maps(channels)
    if maps is None:
        wanted = f"channels that cut the {shape.features} outputs of input '{source}' into square maps"
        report.error(f"expected {wanted}, found {channels}", key)
    return maps
