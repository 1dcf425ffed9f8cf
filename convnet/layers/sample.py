"""Layers that take some of the pixels: nailbed, crop, href."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from convnet.config.keys import Key
from convnet.config.kinds import Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.ops.sample import SampleGeometry
from convnet.shape import Maps, Shape

CHANNELS = Key("channels", Int(minimum=1), "channels of the input")


class SampleLayer(Layer):
    """Some pixels of each map; their gradients go back to them."""

    keys: ClassVar[tuple[Key, ...]] = (CHANNELS,)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.geometry: SampleGeometry

    @abstractmethod
    def _geometry(self, maps: Maps, report: LayerReport) -> SampleGeometry | None:
        """Which pixels; None after reporting an error."""

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many maps as the input has."""
        maps = images(self, 0, self.values["channels"], report)
        geometry = self._geometry(maps, report) if maps is not None else None
        if geometry is None:
            return None
        self.geometry = geometry
        return Shape.of_maps(*geometry.output)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the output."""
        plan.emit("sample.fprop", plan.input(0, self.geometry.maps), plan.output(), self.geometry)

    def bprop(self, plan: Emitter) -> None:
        """The gradient of each output goes to its pixel."""
        below = plan.input_grad(0, self.geometry.maps)
        if below is not None:
            plan.emit("sample.bprop", plan.output_grad(), below.tensor, self.geometry, accumulate=below.accumulate)


class Nailbed(SampleLayer):
    """Every stride-th pixel of every stride-th row: ceil(image / stride) along an axis, as central as they can lie."""

    type = "nailbed"
    keys = (CHANNELS, Key("stride", Int(minimum=1), "distance of neighbouring samples in pixels"))

    def _geometry(self, maps: Maps, report: LayerReport) -> SampleGeometry | None:
        stride, most = self.values["stride"], max(maps.y, maps.x)
        if stride > most:
            report.error(f"expected at most the image's longer side, {most}, found {stride}", "stride")
            return None
        rows, columns = (-(-side // stride) for side in (maps.y, maps.x))
        top, left = (maps.y - stride * (rows - 1)) // 2, (maps.x - stride * (columns - 1)) // 2
        return SampleGeometry(maps, top, left, stride, stride, rows, columns)


class Crop(SampleLayer):
    """A window of each map: sizeX x sizeX pixels, the same for all cases."""

    type = "crop"
    keys = (
        CHANNELS,
        Key("startX", Int(minimum=0), "first column of the window"),
        Key("startY", Int(minimum=0), "first row of the window; default: startX", default=None),
        Key("sizeX", Int(minimum=1), "side of the window in pixels"),
    )

    def _geometry(self, maps: Maps, report: LayerReport) -> SampleGeometry | None:
        size, left = self.values["sizeX"], self.values["startX"]
        given = self.values["startY"]
        top = left if given is None else given
        # A startY that was not written is startX's fault.
        inside = [_fits(left, size, maps.x, "startX", report),
                  _fits(top, size, maps.y, "startX" if given is None else "startY", report)]  # fmt: skip
        return SampleGeometry(maps, top, left, 1, 1, size, size) if all(inside) else None


def _fits(start: int, size: int, image: int, key: str, report: LayerReport) -> bool:
    """Whether a window lies within an image of `image` pixels along an axis; reported otherwise."""
    if size > image:
        report.error(f"expected at most the image's side, {image}, found {size}", "sizeX")
    elif start + size > image:
        wanted = f"at most {image - size}, for a window of {size} pixels in an image of {image}"
        report.error(f"expected {wanted}, found {start}", key)
    return start + size <= image


class HorizontalReflection(SampleLayer):
    """Mirrors each map: left becomes right."""

    type = "href"

    def _geometry(self, maps: Maps, report: LayerReport) -> SampleGeometry:
        return SampleGeometry(maps, 0, maps.x - 1, 1, -1, maps.y, maps.x)
