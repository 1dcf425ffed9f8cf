"""What the two layers of image filters, conv and local, have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Int
from convnet.layers.base import LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.layers.weight_layer import WeightLayer
from convnet.ops.conv import ConvGeometry, modules
from convnet.shape import Maps, Shape
from convnet.weights.parameter import Matrix

_DENSE = "filters see all channels of their group"
_UNBOUNDED = "the norm of filters has no bounds; see wball"


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
        *WeightLayer.init_keys,
    )  # fmt: skip
    ignored: ClassVar[tuple[Ignored, ...]] = (
        *WeightLayer.ignored,
        Ignored("partialSum", "it only divided the work of the original's kernels"),
        Ignored("sumWidth", "it only divided the work of the original's kernels"),
        Ignored("randSparse", _DENSE, harmless=(0,)),
        Ignored("filterChannels", _DENSE, harmless=()),
        Ignored("initCFunc", _DENSE, harmless=()),
        Ignored("wcNormMin", _UNBOUNDED, harmless=(0,)),
        Ignored("wcNormMax", _UNBOUNDED, harmless=(0,)),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.geometries: list[ConvGeometry] = []

    def output_shape(self, report: LayerReport) -> Shape | None:
        """`filters * groups` maps of `modules` pixels, the same for all inputs."""
        found = [self._geometry(index, report) for index in range(len(self.inputs))]
        self.geometries = [geometry for geometry in found if geometry is not None]
        if len(self.geometries) < len(found):
            return None
        outputs = [geometry.output for geometry in self.geometries]
        if len(set(outputs)) > 1:
            sizes = ", ".join(f"{maps} from '{name}'" for maps, name in zip(outputs, self.inputs, strict=True))
            report.error(f"expected all inputs to produce equally-dimensioned output, found {sizes}")
            return None
        return Shape.of_maps(*outputs[0])

    def _geometry(self, index: int, report: LayerReport) -> ConvGeometry | None:
        value = {key: self.values[key][index] for key in ("channels", "filterSize", "padding", "groups")}
        maps = images(self, index, value["channels"], report)
        if maps is None:
            return None
        if maps.channels % value["groups"]:
            report.error(f"expected a divisor of the {maps.channels} channels, found {value['groups']}", "groups")
            return None
        if value["filterSize"] > min(maps.y, maps.x) + 2 * value["padding"]:
            report.error(
                f"expected at most the image with its padding, {min(maps.y, maps.x) + 2 * value['padding']} pixels; "
                f"found {value['filterSize']}",
                "filterSize",
            )
            return None
        return self._with_modules(maps, index, report)

    def _with_modules(self, maps: Maps, index: int, report: LayerReport) -> ConvGeometry | None:
        values = self.values
        padding, size, stride = (values[key][index] for key in ("padding", "filterSize", "stride"))
        rows, columns = modules(maps.y, padding, size, stride), modules(maps.x, padding, size, stride)
        forced = values["modulesX"][index]
        if forced:
            if maps.x > (forced - 1) * stride + size - padding:
                problem = f"expected at least {columns}, so that the windows cover the image; found {forced}"
                report.error(problem, "modulesX")
                return None
            rows, columns = (forced if maps.y == maps.x else rows), forced
        groups = values["groups"][index]
        return self.geometry_type(
            maps=maps, filters=values["filters"][index] * groups, filter_size=size, padding=padding, stride=stride,
            groups=groups, modules_y=rows, modules_x=columns,
        )  # fmt: skip

    def _fprop_input(self, plan: Emitter, index: int, **last: object) -> None:
        geometry = self.geometries[index]
        plan.emit(f"{self.operation}.fprop", plan.input(index, geometry.maps), plan.weights(index), y=plan.output(),
                  geometry=geometry, **last)  # fmt: skip

    def _bprop_input(self, plan: Emitter, index: int) -> None:
        geometry, gradient = self.geometries[index], plan.output_grad()
        weights = plan.weights_grad(index)
        if weights is not None:
            plan.emit(f"{self.operation}.bprop_weights", plan.input(index, geometry.maps), gradient, weights.tensor,
                      geometry, accumulate=weights.accumulate)  # fmt: skip
        below = plan.input_grad(index, geometry.maps)
        if below is not None:
            plan.emit(f"{self.operation}.bprop_acts", gradient, plan.weights(index), below.tensor, geometry,
                      accumulate=below.accumulate)  # fmt: skip

    def _unshared_biases(self) -> Matrix:
        """One bias for each output; (filters * modules, 1), the filter slowest."""
        return Matrix(self.shape.features, 1, maps=self.shape.maps)
