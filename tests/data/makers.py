"""Writes small data sets in the forms that the providers read."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image


def random_images(cases, y, x, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (cases, y, x, channels), np.uint8)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).save(stream, "png")
    return stream.getvalue()


def image_files(images, labels, prefix=""):
    """{name: bytes}, each image in the folder of its class, the class names being a, b, c."""
    return {f"{prefix}{'abc'[label]}/{case:03}.png": png(images[case]) for case, label in enumerate(labels)}


def write_folder(path, files):
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def write_tar(path, files, folders=()):
    with tarfile.open(path, "w:" + path.suffix[1:] if path.suffix != ".tar" else "w") as archive:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, train, train_labels, test, test_labels, zipped=False):
    for part, images, labels in (("train", train, train_labels), ("t10k", test, test_labels)):
        for kind, array in (("images", images), ("labels", labels)):
            name, content = f"{part}-{kind}-idx{array.ndim}-ubyte", idx_bytes(array.astype(np.uint8))
            (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


def python2_pickle(value):
    """What Python 2 with a NumPy of its time wrote for dicts, lists, integers, byte strings and arrays, protocol 2."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value):
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(key) + _python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_python2, value)) + b"t"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if value is None:
        return b"N"
    return _python2_array(value)


def _python2_array(array):
    kind = array.dtype
    code, order = kind.str[1:].encode(), kind.str[:1].encode()
    dtype = b"cnumpy\ndtype\n" + _python2((code, 0, 1)) + b"R"
    dtype += _python2((3, order, None, None, None, -1, -1, 0)) + b"b"
    by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    state = _python2(1) + _python2(array.shape) + dtype + _python2(by_columns)
    state += _python2(array.tobytes(order="F" if by_columns else "C"))
    begun = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _python2((0,)) + _python2(b"b") + b"tR"
    return begun + b"(" + state + b"tb"
