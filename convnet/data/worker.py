"""The process that decodes images: `python -m convnet.data.worker SOCKET MEMORY`, started by convnet.data.workers.

SOCKET and MEMORY are inherited file descriptors. The process ends when the other end of the socket is closed.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
from multiprocessing.connection import Connection

import numpy as np

from convnet.data.augment import Array, below, copy_reversed, corner
from convnet.data.jpeg import JpegDecoder
from convnet.data.workers import CHANNELS, Answer, Share
from convnet.errors import ConvnetError

_MOST_FILES = 128  # open at once


class _Files:
    """Files that stay open while they are read from again and again."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Some bytes of a file; less at its end. Raises OSError."""
        if path not in self._descriptors:
            if len(self._descriptors) == _MOST_FILES:
                os.close(self._descriptors.pop(next(iter(self._descriptors))))
            self._descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptors[path], size, offset)


class _Worker:
    """Decodes images and writes windows of them into the shared memory."""

    def __init__(self, memory: int) -> None:
        self._descriptor = memory
        self._memory: Array = np.empty(0, np.uint8)
        self._files, self._decoder = _Files(), JpegDecoder()

    def work(self, number: int, share: Share) -> Answer:
        """Do a share of task `number`."""
        count, (y, x) = len(share.cases), share.size
        size = count * y * x * CHANNELS
        starts = [share.target + share.stride * index for index in range(len(share.views))]
        self._reach(starts[-1] + size)
        targets = [self._memory[start : start + size].reshape(count, y, x, CHANNELS) for start in starts]
        for index in range(count):
            if self._memory[share.cancelled]:
                break
            try:
                self._fill(share, index, [target[index] for target in targets])
            except ConvnetError as error:
                return Answer(number, share.first + index, str(error))
        return Answer(number, 0, None)

    def _reach(self, end: int) -> None:
        """Map the memory again if it has grown."""
        if end > len(self._memory):
            self._memory = np.frombuffer(mmap.mmap(self._descriptor, 0), np.uint8)

    def _fill(self, share: Share, index: int, targets: list[Array]) -> None:
        """Write the windows of one image."""
        mirrored = bool(share.mirrored[index])
        image = self._image(share, index, mirrored=mirrored)
        (height, width), (y, x) = image.shape[:2], share.size
        for view, target in zip(share.views, targets, strict=True):
            if share.words is None:
                top, left = corner((height, width), (y, x), view)
            else:
                room = np.array([height - y + 1, width - x + 1])
                top, left = below(room, share.words[index]).tolist()
            copy = copy_reversed if mirrored else _copy
            copy(image[top : top + y, left : left + x], target)

    def _image(self, share: Share, index: int, *, mirrored: bool) -> Array:
        """The decoded image, in BGR if it will be reversed. Raises ConvnetError where it is damaged or too small."""
        file, offset, size = share.places[index].tolist()
        path = share.paths[file]
        name = f"{path}: case {share.cases[index]} of the data batch"
        try:
            content = self._files.read(path, offset, size)
        except OSError as error:
            raise ConvnetError(f"{name}: cannot be read: {error.strerror}") from error
        image, (y, x) = self._decoder.decode(content, name, blue_first=mirrored), share.size
        height, width = image.shape[:2]
        if share.exact and (height, width) != (y, x):
            raise ConvnetError(
                f"{name}: expected an image of {y}x{x} pixels, found {height}x{width}; squares can be cut from images "
                "of several sizes (--crop)"
            )
        if height < y or width < x:
            raise ConvnetError(f"{name}: expected an image of at least {y}x{x} pixels, found {height}x{width}")
        return image


def _copy(window: Array, target: Array) -> None:
    """Copy pixels."""
    np.copyto(target, window)


def main() -> None:
    """Work until the other process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the other process's to say what happens then
    connection, worker = Connection(int(sys.argv[1])), _Worker(int(sys.argv[2]))
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            connection.send(worker.work(*connection.recv()))


if __name__ == "__main__":
    main()
