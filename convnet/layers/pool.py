"""Pooling within maps: over windows, and what that has in common with pooling over whole images."""

from __future__ import annotations

from typing import Any

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Bool, Choice, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.ops.pool import PoolGeometry, outputs
from convnet.shape import Maps, Shape


class PoolingLayer(Layer):
    """Takes one number of each window of each map. `output_shape` sets the windows."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.geometry: PoolGeometry

    @property
    def what(self) -> str:
        """What is taken: max, maxabs, avg or sum."""
        return str(self.values["pool"])

    @property
    def reads_own_output(self) -> bool:  # type: ignore[override]
        """The gradient of a maximum goes to the inputs that equal it."""
        return self.what in ("max", "maxabs")

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the input."""
        plan.emit(f"pool.fprop_{self.what}", plan.input(0, self.geometry.maps), plan.output(), self.geometry)

    def bprop(self, plan: Emitter) -> None:
        """The gradient of each output goes to its maximum, or to its whole window."""
        below = plan.input_grad(0, self.geometry.maps)
        if below is None:
            return
        operation, read = f"pool.bprop_{self.what}", []
        if self.reads_own_output:
            operation, read = "pool.bprop_max", [plan.input(0, self.geometry.maps), plan.output()]
        plan.emit(operation, plan.output_grad(), *read, below.tensor, self.geometry, accumulate=below.accumulate)


class Pool(PoolingLayer):
    """One number for each square window of each map: a maximum, an average or a sum.

    Window o covers pixels start + o*stride up to sizeX more, clipped to the image; there are
    ceil((image - start - sizeX) / stride) + 1 along an axis. An average divides by the clipped window's size. maxabs
    takes the element of the largest absolute value, with its sign (of a number and its negative the positive). Every
    input equal to a maximum receives the gradient.
    """

    type = "pool"
    keys = (
        Key("pool", Choice("max", "maxabs", "avg"), "what is taken of each window"),
        Key("channels", Int(minimum=1), "channels of the input"),
        Key("sizeX", Int(minimum=1), "side of the windows in pixels"),
        Key("stride", Int(minimum=1), "distance of neighbouring windows in pixels, at most sizeX"),
        Key("start", Int(), "where the first window begins; below 0 is outside the image", default=0),
        Key("outputsX", Int(minimum=0), "windows along each axis; 0: as the formula gives", default=0),
        Key("sum", Bool(), "for pool=avg: the sum of each window, not divided", default=False),
    )
    ignored = (Ignored("doMax", "the code of 2012 read it for pool=rand alone"),)

    @property
    def what(self) -> str:
        """What is taken: max, maxabs, avg or sum."""
        return "sum" if self.values["sum"] else super().what

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many maps as the input has."""
        values = self.values
        maps = images(self, 0, values["channels"], report)
        if values["sum"] and values["pool"] != "avg":
            report.error(f"expected pool=avg beside it, found pool={values['pool']}", "sum")
            return None
        if maps is None or not self._windows_fit(maps, report):
            return None
        forced, arguments = values["outputsX"], (values["sizeX"], values["stride"], values["start"])
        size, stride, start = arguments
        rows = forced or outputs(maps.y, size, stride, start)
        columns = forced or outputs(maps.x, size, stride, start)
        if start <= -size or min(rows, columns) < 1:
            report.error(f"expected a window inside the image of {maps.y}x{maps.x} pixels, found {start}", "start")
            return None
        if forced and start + (forced - 1) * stride >= min(maps.y, maps.x):
            report.error(f"expected windows inside the image of {maps.y}x{maps.x} pixels, found {forced}", "outputsX")
            return None
        self.geometry = PoolGeometry(maps, size, stride, start, rows, columns)
        return Shape.of_maps(maps.channels, rows, columns)

    def _windows_fit(self, maps: Maps, report: LayerReport) -> bool:
        size, stride = self.values["sizeX"], self.values["stride"]
        if size > min(maps.y, maps.x):
            report.error(f"expected at most the image's side, {min(maps.y, maps.x)}, found {size}", "sizeX")
        if stride > size:
            report.error(f"expected at most sizeX, {size}, found {stride}", "stride")
        return bool(size <= min(maps.y, maps.x) and stride <= size)
