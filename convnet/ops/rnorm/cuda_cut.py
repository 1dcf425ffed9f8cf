"""How the normalizations within maps cut their work for a GPU's blocks, as numbers; cuda_strips.py launches it."""

from __future__ import annotations

from dataclasses import dataclass

SHARED = 48 << 10  # bytes of a block: every card has them, and large ones have room for several such blocks at a time
_BYTES = 32  # of a pixel that a block reads: what memory gives at once
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Cut:
    """Strips of `rows` rows and `spans` spans of channels; planes hold `held` rows. in_shared: where planes lie."""

    rows: int
    spans: int
    held: int
    in_shared: bool


def cut(image: tuple[int, int, int], span: int, span_bytes: int, planes: int, extra: int, room: int) -> Cut:
    """The cut of images of (y, x, channels) for a kernel with so many planes, which hold `extra` rows beside a strip's.

    span: channels that a thread takes at once; span_bytes: their size in an image. room: bytes of shared memory.
    Planes lie in shared memory if images fit in whole, or strips at least as high as what they need beside themselves.
    Otherwise a strip is an image, and its planes lie in memory.
    """
    height, width, channels = image
    spans = widest = min(max(1, _BYTES // span_bytes), channels // span)
    while spans:
        fit = room // (planes * width * spans * span * _FLOAT)
        rows = height if fit >= height else fit - extra
        if rows >= max(1, min(extra, height)):
            strips = -(-height // rows)
            even = -(-height // strips)
            return Cut(even, spans, min(height, even + extra), in_shared=True)
        spans //= 2
    return Cut(height, widest, height, in_shared=False)
