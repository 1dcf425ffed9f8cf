"""Fetches published files: verified by size and checksum, and resumed where an earlier try was cut off."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, InvalidURL
from io import FileIO
from pathlib import Path
from urllib.error import HTTPError, URLError

from convnet import __version__
from convnet.errors import ConvnetError

_CHUNK = 1 << 18  # bytes asked for at once
_TRIES = 3  # of one address, in a row, that bring nothing new
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP: what may be over soon


@dataclass(frozen=True)
class RemoteFile:
    """A file that others publish. size: in bytes. sha256: in hexadecimal. addresses: to be tried in this order."""

    name: str
    size: int
    sha256: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Watcher:
    """Who is told how a download goes. progress: file name, bytes there, bytes in all. say: a line about trouble."""

    progress: Callable[[str, int, int], None] = lambda _name, _done, _total: None
    say: Callable[[str], None] = lambda _line: None


class _FailedError(Exception):
    """An address cannot give the file; the message says why."""


class _BrokenOffError(Exception):
    """An address stopped giving the file for now; the message says why."""


def download(file: RemoteFile, folder: Path, watcher: Watcher, *, timeout: float = 30.0, pause: float = 1.0) -> bool:
    """Fetch a file into a folder, which is made where needed. Returns False if the right file was there already.

    What comes is gathered in `<name>.part`, which is renamed only when size and checksum are right; a part that an
    earlier call left is gone on with. A part that turns out wrong is thrown away, and the watcher is told.

    Args:
        file: what to fetch.
        folder: where to.
        watcher: who is told how it goes.
        timeout: seconds without a sign of the server after which it is given up.
        pause: seconds before the second try of an address that broke off; twice as many before the third.

    Raises:
        ConvnetError: if another file of this name is there, which is left alone; if no address gives the file; if it
            cannot be written; if another process is fetching it.
    """
    target = folder / file.name
    with _using(folder):
        there = target.exists()
        folder.mkdir(parents=True, exist_ok=True)
    if there:
        _check_present(target, file)
        return False
    with _opened_part(folder, file, watcher) as part:
        part.drop_if_wrong()
        if not part.whole:
            _fetch(part, timeout, pause)
        with _using(part.path):
            part.path.rename(target)
    return True


def _check_present(target: Path, file: RemoteFile) -> None:
    """Raise ConvnetError if a file that is there already is not the published one."""
    with _using(target), target.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if (size, found) != (file.size, file.sha256):
        raise ConvnetError(
            f"{target}: expected the published file, {_described(file.size, file.sha256)}; found "
            f"{_described(size, found)}; it is left as it is: move it away, or choose another folder"
        )


def _described(size: int, sha256: str) -> str:
    return f"{size:,} bytes with SHA-256 {sha256[:16]}..."


@contextmanager
def _using(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into a ConvnetError."""
    try:
        yield
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read or written: {error.strerror or error}") from error


class _Part:
    """What has come of a file so far."""

    def __init__(self, path: Path, stream: FileIO, file: RemoteFile, watcher: Watcher) -> None:
        self.path, self.file, self.watcher = path, file, watcher
        self._stream = stream
        self.size = os.fstat(stream.fileno()).st_size

    @property
    def whole(self) -> bool:
        """Whether it has as many bytes as it should."""
        return self.size == self.file.size

    def append(self, chunk: bytes) -> None:
        """Add bytes to it. Raises ConvnetError where they cannot be written."""
        rest = memoryview(chunk)
        with _using(self.path):
            while rest:
                written = self._stream.write(rest) or 0  # unbuffered: all, or what the disk still takes
                self.size += written
                rest = rest[written:]

    def clear(self) -> None:
        """Start anew."""
        with _using(self.path):
            self._stream.truncate(0)
        self.size = 0

    def drop_if_wrong(self) -> bool:
        """Throw it away if it is whole, or more than that, and not the file; whether it was thrown away."""
        if self.size < self.file.size or (self.whole and self._digest() == self.file.sha256):
            return False
        self.watcher.say(f"{self.path}: not the published file; thrown away")
        self.clear()
        return True

    def _digest(self) -> str:
        with _using(self.path):
            self._stream.seek(0)
            return hashlib.file_digest(self._stream, "sha256").hexdigest()

    def report(self) -> None:
        """Tell the watcher how far it is."""
        self.watcher.progress(self.file.name, min(self.size, self.file.size), self.file.size)


@contextmanager
def _opened_part(folder: Path, file: RemoteFile, watcher: Watcher) -> Iterator[_Part]:
    """The part of a file, held by this process alone. It stays on disk, however this ends, if anything is in it."""
    path = folder / f"{file.name}.part"
    with _using(path):
        stream = path.open("a+b", buffering=0)
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConvnetError(f"{path}: another process is fetching this file") from error
        part = _Part(path, stream, file, watcher)
        try:
            yield part
        finally:
            if not part.size:
                with _using(path):
                    path.unlink(missing_ok=True)


def _fetch(part: _Part, timeout: float, pause: float) -> None:
    """Make the part whole and right from the first address that can. Raises ConvnetError where none can."""
    failures = []
    for address in part.file.addresses:
        try:
            _fetch_from(address, part, timeout, pause)
        except _FailedError as failure:
            failures.append(f"{address}: {failure}")
        else:
            return
    kept = f"\nThe {part.size:,} bytes that came are kept; the same command goes on from there." if part.size else ""
    raise ConvnetError(
        f"{part.file.name} cannot be fetched\n" + "\n".join(failures) + f"\nBehind a proxy, set https_proxy and "
        f"http_proxy. Or fetch {part.file.addresses[0]} by other means and put it into {part.path.parent} as "
        f"{part.file.name}.{kept}"
    )


def _fetch_from(address: str, part: _Part, timeout: float, pause: float) -> None:
    """Make the part whole and right from one address, over as many connections as it takes. Raises _FailedError."""
    inherited, fruitless = part.size > 0, 0
    while not part.whole:
        before = part.size
        try:
            _receive(address, part, timeout)
        except _BrokenOffError as error:
            fruitless = 0 if part.size > before else fruitless + 1
            if fruitless == _TRIES:
                raise _FailedError(str(error)) from error
            part.watcher.say(f"{address}: {error}; trying again")
            time.sleep(pause * 2**fruitless)
        if part.drop_if_wrong():
            # The wrong bytes may have been those that were there before.
            if not inherited:
                raise _FailedError("gives another file than the published one")
            inherited = False


def _receive(address: str, part: _Part, timeout: float) -> None:
    """Add to the part what one connection gives. Raises _FailedError, _BrokenOffError."""
    ranges = {"Range": f"bytes={part.size}-"} if part.size else {}
    with _answer(address, ranges, timeout) as response:
        _check_length(response, part)
        if part.size and response.status != 206:
            part.watcher.say(f"{address}: the server cannot go on in the middle of a file; from the beginning")
            part.clear()
        part.report()
        # One byte more than is wanted tells a longer file.
        while chunk := _read(response, min(_CHUNK, part.file.size + 1 - part.size)):
            part.append(chunk)
            part.report()
    if part.size < part.file.size:
        raise _BrokenOffError(f"the connection ended after {part.size:,} of {part.file.size:,} bytes")


def _answer(address: str, headers: dict[str, str], timeout: float) -> HTTPResponse:
    """The answer of a server, headers read. Raises _FailedError, _BrokenOffError."""
    agent = {"User-Agent": f"convnet/{__version__}"}
    try:
        request = urllib.request.Request(address, headers=agent | headers)  # noqa: S310 - published.py: http(s) only
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
    except HTTPError as error:
        error.close()
        kind = _BrokenOffError if error.code in _PASSING else _FailedError
        raise kind(f"the server answers {error.code} {error.reason}") from error
    except URLError as error:
        kind = _BrokenOffError if isinstance(error.reason, TimeoutError) else _FailedError
        raise kind(f"no connection: {error.reason}") from error
    except (InvalidURL, ValueError) as error:
        raise _FailedError(f"not an address: {error}") from error
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(f"no answer: {error}") from error
    return answer


def _check_length(response: HTTPResponse, part: _Part) -> None:
    """Raise _FailedError if a server has a file of another length, or gives another range than it was asked for."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        start, length = map(int, found.groups()) if found else (None, None)
        if start != part.size:
            raise _FailedError(f"gives another range than the one from byte {part.size:,}")
    else:
        told = response.headers.get("Content-Length", "")
        length = int(told) if told.isdecimal() else part.file.size
    if length != part.file.size:
        raise _FailedError(f"has a file of {length:,} bytes; expected {part.file.size:,}")


def _read(response: HTTPResponse, size: int) -> bytes:
    """Up to so many bytes, as soon as there are any; none at the end. Raises _BrokenOffError."""
    try:
        return response.read1(size)
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(f"the connection broke: {error}") from error
