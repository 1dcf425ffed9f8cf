"""What the two layers of image filters, conv and local, have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Bool, FunctionCall, Int
from convnet.layers.base import LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.layers.weight_layer import WeightLayer
from convnet.ops.conv import ConvGeometry, modules
from convnet.shape import Maps, Shape
from convnet.tensor import Tensor, memory_shape
from convnet.weights.parameter import Matrix

Array = np.ndarray[Any, Any]


class FilterLayer(WeightLayer):
    """Filters applied to square windows of the input's maps, at `stride` pixels from one window to the next.

    Zeros surround the image: `padding` rows and columns on each side, and as many more at the right and the bottom as
    the last window needs. Windows along an axis: 1 + ceil((2*padding + image - filterSize) / stride).
    """

    operation: ClassVar[str] = ""
    geometry_type: ClassVar[type[ConvGeometry]] = ConvGeometry

    keys: ClassVar[tuple[Key, ...]] = (
        Key("channels", Int(minimum=1), "channels of the input", per_input=True),
        Key("filters", Int(minimum=1), "number of filters, in each group", per_input=True),
        Key("filterSize", Int(minimum=1), "side of the square filters in pixels", per_input=True),
        Key("padding", Int(minimum=0), "zeros around the image in pixels", default=0, per_input=True),
        Key("stride", Int(minimum=1), "distance of neighbouring windows in pixels", default=1, per_input=True),
        Key("groups", Int(minimum=1), "groups of filters: group g sees only the g-th part of the channels", default=1,
            per_input=True),
        Key("modulesX", Int(minimum=0), "windows along x (and y, if the image is square); 0: as the formula gives",
            default=0, per_input=True),
        Key("randSparse", Bool(), "random sparse connectivity: each group sees filterChannels channels drawn at "
            "random, all channels equally often", default=False, per_input=True),
        Key("filterChannels", Int(minimum=1), "channels that a filter sees; other than channels / groups only with "
            "randSparse; default: channels / groups", default=None, per_input=True),
        Key("initCFunc", FunctionCall(), "a Python function func(layer, input, (groups, channels, filterChannels), "
            "params=[...]) that gives the channels of all groups for randSparse, one group after the other, as "
            "integers; every `channels` of them are a permutation of 0 .. channels - 1", default=None),
        *WeightLayer.init_keys,
    )  # fmt: skip
    ignored: ClassVar[tuple[Ignored, ...]] = (
        *WeightLayer.ignored,
        Ignored("partialSum", "it only divided the work of the original's kernels"),
        Ignored("sumWidth", "it only divided the work of the original's kernels"),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.geometries: list[ConvGeometry] = []
        self.input_maps: list[Maps] = []
        self.connections: list[Array | None] = []

    def output_shape(self, report: LayerReport) -> Shape | None:
        """`filters * groups` maps of `modules` pixels, the same for all inputs."""
        if self.values["initCFunc"] is not None and not any(self.values["randSparse"]):
            report.error("expected randSparse for an input, whose channels the function would give", "initCFunc")
        found = [self._geometry(index, report) for index in range(len(self.inputs))]
        self.geometries = [geometry for geometry in found if geometry is not None]
        if len(self.geometries) < len(found):
            return None
        outputs = [geometry.output for geometry in self.geometries]
        if len(set(outputs)) > 1:
            sizes = ", ".join(f"{maps} from '{name}'" for maps, name in zip(outputs, self.inputs, strict=True))
            report.error(f"expected all inputs to produce equally-dimensioned output, found {sizes}")
            return None
        self.input_maps = [geometry.maps for geometry in self.geometries]
        self._connect()
        return Shape.of_maps(*outputs[0])

    def _connect(self) -> None:
        """Make room for connections, and let the filters' groups see the channels that these bring together."""
        for index, geometry in enumerate(self.geometries):
            sparse, each = self.values["randSparse"][index], self.values["filterChannels"][index]
            each = each or geometry.filter_channels
            self.connections.append(np.zeros((geometry.groups, each), np.int32) if sparse else None)
            if sparse:
                gathered = geometry.maps._replace(channels=geometry.groups * each)
                self.geometries[index] = replace(geometry, maps=gathered)

    def _geometry(self, index: int, report: LayerReport) -> ConvGeometry | None:
        value = {key: self.values[key][index] for key in ("channels", "filterSize", "padding", "groups")}
        maps = images(self, index, value["channels"], report)
        if maps is None:
            return None
        if not self._connections_fit(index, maps.channels, report):
            return None
        if value["filterSize"] > min(maps.y, maps.x) + 2 * value["padding"]:
            report.error(
                f"expected at most the image with its padding, {min(maps.y, maps.x) + 2 * value['padding']} pixels; "
                f"found {value['filterSize']}",
                "filterSize",
            )
            return None
        return self._with_modules(maps, index, report) if self._windows_fit(maps, index, report) else None

    def _windows_fit(self, maps: Maps, index: int, report: LayerReport) -> bool:
        """Whether padding and stride are not so large that most windows would see nothing of the image."""
        padding, size, stride = (self.values[key][index] for key in ("padding", "filterSize", "stride"))
        small, large, problem = min(maps.y, maps.x), max(maps.y, maps.x), None
        if padding > max(large, size):
            wanted = f"at most {max(large, size)}, the larger of image and filterSize"
            problem = "padding", f"expected {wanted}, found {padding}"
        elif stride > small + 2 * padding and large + 2 * padding > size:
            wanted = f"at most the image with its padding, {small + 2 * padding} pixels"
            problem = "stride", f"expected {wanted}; found {stride}"
        if problem:
            report.error(problem[1], problem[0])
        return problem is None

    def _connections_fit(self, index: int, channels: int, report: LayerReport) -> bool:
        """Whether the channels that each group sees are as many as `groups`, `randSparse` and the channels allow."""
        groups, sparse, each = (self.values[key][index] for key in ("groups", "randSparse", "filterChannels"))
        problem = None
        if sparse and groups == 1:
            problem = "groups", "expected more than 1 with randSparse, found 1"
        elif channels % groups and not (sparse and each):
            problem = "groups", f"expected a divisor of the {channels} channels, found {groups}"
        elif sparse and channels % (each or channels // groups):
            problem = "filterChannels", f"expected a divisor of the {channels} channels, found {each}"
        elif sparse and each and groups * each % channels:
            wanted = f"groups * filterChannels to be a multiple of the {channels} channels"
            problem = "filterChannels", f"expected {wanted}, found {groups} * {each}"
        elif not sparse and each and each != channels // groups:
            wanted = f"channels / groups, which is {channels // groups} for input '{self.inputs[index]}'"
            problem = "filterChannels", f"expected {wanted}, without randSparse; found {each}"
        if problem:
            report.error(problem[1], problem[0])
        return problem is None

    def _with_modules(self, maps: Maps, index: int, report: LayerReport) -> ConvGeometry | None:
        values = self.values
        padding, size, stride = (values[key][index] for key in ("padding", "filterSize", "stride"))
        rows, columns = modules(maps.y, padding, size, stride), modules(maps.x, padding, size, stride)
        forced = values["modulesX"][index]
        if forced:
            # The formula's own last window may see zeros only: 1x1 filters with stride 2 on an image of even side.
            most = max(columns, (maps.x + 2 * padding - 1) // stride + 1)
            fewest = 1 + max(0, -(-(maps.x + padding - size) // stride))
            problem = _modules_problem(fewest, forced, most)
            if problem:
                report.error(problem, "modulesX")
                return None
            rows, columns = (forced if maps.y == maps.x else rows), forced
        groups = values["groups"][index]
        return self.geometry_type(
            maps=maps, filters=values["filters"][index] * groups, filter_size=size, padding=padding, stride=stride,
            groups=groups, modules_y=rows, modules_x=columns,
        )  # fmt: skip

    def _fprop_input(self, plan: Emitter, index: int, **last: object) -> None:
        x, connections = self._read(plan, index), self.connections[index]
        if connections is not None:
            held = plan.input(index, self.input_maps[index])
            plan.emit("channels.gather", held.rows(held.shape[-1]), x.rows(x.shape[-1]),
                      connections=connections.reshape(-1))  # fmt: skip
        plan.emit(f"{self.operation}.fprop", x, plan.weights(index), y=plan.output(), geometry=self.geometries[index],
                  **last)  # fmt: skip

    def _read(self, plan: Emitter, index: int) -> Tensor:
        """What the filters see of an input: its maps, or the channels that the connections bring together."""
        if self.connections[index] is None:
            return plan.input(index, self.input_maps[index])
        gathered = self.geometries[index].maps
        return plan.temporary(f"channels {index}", memory_shape(gathered.features, gathered))

    def _bprop_input(self, plan: Emitter, index: int) -> None:
        geometry, gradient = self.geometries[index], plan.output_grad()
        weights = plan.weights_grad(index)
        if weights is not None:
            plan.emit(f"{self.operation}.bprop_weights", self._read(plan, index), gradient, weights.tensor,
                      geometry, accumulate=weights.accumulate)  # fmt: skip
        below, connections = plan.input_grad(index, self.input_maps[index]), self.connections[index]
        if below is None:
            return
        if connections is None:
            plan.emit(f"{self.operation}.bprop_acts", gradient, plan.weights(index), below.tensor, geometry,
                      accumulate=below.accumulate)  # fmt: skip
            return
        # What the filters saw has served, and makes room for its gradient.
        many, few = self._read(plan, index), below.tensor
        plan.emit(f"{self.operation}.bprop_acts", gradient, plan.weights(index), many, geometry, accumulate=False)
        plan.emit("channels.scatter", many.rows(many.shape[-1]), few.rows(few.shape[-1]),
                  connections=connections.reshape(-1), accumulate=below.accumulate)  # fmt: skip

    def _unshared_biases(self) -> Matrix:
        """One bias for each output; (filters * modules, 1), the filter slowest."""
        return Matrix(self.shape.features, 1, maps=self.shape.maps)


def _modules_problem(fewest: int, forced: int, most: int) -> str:
    """What is wrong with so many windows along an axis; nothing if they cover the image and begin inside it."""
    if forced < fewest:
        return f"expected at least {fewest}, so that the windows cover the image; found {forced}"
    if forced > most:
        return f"expected at most {most}, so that the windows begin inside the image with its padding; found {forced}"
    return ""
