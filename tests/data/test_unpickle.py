"""The restricted unpickler: reads what Python 2 and 3 write, and runs nothing."""

import contextlib
import os
import pickle
import random
import sys

import numpy as np
import pytest

from convnet.data.unpickle import Inert, Place, unpickle
from convnet.errors import ConvnetError

from .makers import python2_pickle

ARRAYS = {
    "data": np.arange(24, dtype=np.uint8).reshape(4, 6),
    "by_columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "mean": np.array([[0.5], [1.5]], ">f8"),
}
PLAIN = {"labels": [3, 1, 2], "batch_label": b"training batch 1 of 5", "names": [b"cat", b"dog"], "none": None}


def check(found):
    assert found.keys() == {*ARRAYS, *PLAIN}
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
    for name, expected in PLAIN.items():
        assert found[name] == expected


def test_reads_what_python_2_wrote():
    content = python2_pickle({name.encode(): value for name, value in {**ARRAYS, **PLAIN}.items()})
    genuine = pickle.loads(content, encoding="bytes")  # the test's own writer is right
    np.testing.assert_array_equal(genuine[b"by_columns"], ARRAYS["by_columns"])
    check(unpickle(content, "f"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_every_protocol_of_python_3(protocol):
    check(unpickle(pickle.dumps({**ARRAYS, **PLAIN}, protocol), "f"))


@pytest.mark.parametrize("protocol", [2, 5])
def test_reads_numbers_of_numpy(protocol):
    found = unpickle(pickle.dumps({"labels": [np.int64(-7), np.uint8(200), np.float32(0.5)]}, protocol), "f")
    assert found == {"labels": [-7, 200, 0.5]}


def test_arrays_and_text_inside_of_containers():
    array = ARRAYS["mean"]
    content = python2_pickle({b"pca": (array, [array, b"a"]), b"inner": {b"k": b"v"}})
    found = unpickle(content, "f")
    np.testing.assert_array_equal(found["pca"][0], array)
    np.testing.assert_array_equal(found["pca"][1][0], array)
    assert found["pca"][1][1] == b"a"
    assert found["inner"] == {b"k": b"v"}
    assert unpickle(content, "f", text=True)["inner"] == {"k": "v"}


def test_containers_met_twice_stay_one():
    inner = [1, ARRAYS["data"]]
    found = unpickle(pickle.dumps({"a": inner, "b": (inner, inner), "c": {"d": inner}}), "f")
    assert found["a"] is found["b"][0] is found["b"][1] is found["c"]["d"]
    circle: list = []
    circle.append(circle)
    found = unpickle(pickle.dumps({"a": circle}), "f")
    assert found["a"][0] is found["a"]


def test_instances_of_named_modules_are_inert():
    """Old-style and new-style instances of modules that must not be imported."""
    old, new = b"(cantigravity\nOption\no", b"cantigravity\nOption\n)\x81"
    for instance in (old, new):
        content = b"\x80\x02}U\1x" + instance + b"}U\1aK\5sbs."
        found = unpickle(content, "f", inert=["antigravity"], text=True)["x"]
        assert isinstance(found, Inert)
        assert found.state == {"a": 5}
        with pytest.raises(ConvnetError, match=r"f: refused, .*; found antigravity\.Option"):
            unpickle(content, "f", inert=["options"])
    assert "antigravity" not in sys.modules


def test_places_are_what_persistent_ids_stand_for():
    places = [Place(7, 3), Place(2**40, 5)]
    content = b"\x80\x02}U\1x](K\1QK\0Q(J\1\0\0\0Qtes."
    assert unpickle(content, "f", places=places) == {"x": [places[1], places[0], [places[1]]]}
    for number in (b"K\2", b"J\xff\xff\xff\xff", b"N", b"U\1a", b"]"):
        with pytest.raises(ConvnetError, match=r"f: refused, .* found the persistent id"):
            unpickle(b"\x80\x02}U\1x" + number + b"Qs.", "f", places=places)


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_nothing_is_run(tmp_path, protocol):
    file = tmp_path / "made"
    for attack in (Runs(os.mkdir, str(file)), Runs(exec, f"open({str(file)!r}, 'w')"), Runs(getattr, "", "join")):
        content = pickle.dumps({"data": attack}, protocol)
        with pytest.raises(ConvnetError, match=r"batch_7: refused, as only .*found (posix|builtins|__builtin__)\.\w+"):
            unpickle(content, "batch_7")
    assert not file.exists()
    pickle.loads(pickle.dumps(Runs(os.mkdir, str(file))))  # the attack would have worked
    assert file.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a", None], object),
        np.zeros(2, [("x", "u1"), ("y", "f4")]),
        np.zeros(2, "V4"),
        np.zeros(2, "U3"),
        np.ma.zeros(3),
        Runs(np.load, "x.npy"),
        Runs(np.frombuffer, b"abc"),
    ],
    ids=["objects", "records", "void", "text", "masked", "load", "frombuffer"],
)
def test_refuses_what_is_neither_plain_nor_a_plain_array(value):
    with pytest.raises(ConvnetError, match="f: refused"):
        unpickle(pickle.dumps({"data": value}), "f")


def test_a_forged_array_type_never_reaches_numpy():
    """numpy.dtype's own __setstate__ believes fields and flags; with them, bytes could be read as pointers."""
    forged = b"cnumpy\ndtype\n(U\x02u1J\0\0\0\0J\1\0\0\0tR"
    forged += b"(J\3\0\0\0U\1|NU\1xN" + b"J\xff\xff\xff\xff" * 2 + b"J\x3f\0\0\0tb"
    with pytest.raises(ConvnetError, match="structured array type"):
        unpickle(b"\x80\x02}U\4data" + forged + b"s.", "f")


@pytest.mark.parametrize("value", [[1, 2], 5, None, np.zeros(3)], ids=str)
def test_expects_a_dict(value):
    with pytest.raises(ConvnetError, match="f: expected a pickled dict, found"):
        unpickle(pickle.dumps(value), "f")


def test_an_array_of_the_wrong_length_is_an_error():
    content = python2_pickle({b"data": np.zeros((2, 3), np.uint8)}).replace(b"J\3\0\0\0t", b"J\4\0\0\0t")
    with pytest.raises(ConvnetError, match="f: expected a pickle"):
        unpickle(content, "f")


def test_damaged_pickles_are_errors():
    """Every beginning of a pickle, and many with one byte changed: an error or a dict, never another exception."""
    drawn = random.Random(0)
    for whole in (python2_pickle({b"data": np.zeros((2, 3), np.uint8), b"labels": [1]}), pickle.dumps(ARRAYS)):
        for end in range(len(whole)):
            with pytest.raises(ConvnetError, match=r"^f: "):
                unpickle(whole[:end], "f")
        for _ in range(2000):
            changed = bytearray(whole)
            changed[drawn.randrange(len(whole))] = drawn.randrange(256)
            if b"r" not in changed:  # that opcode takes as much memory as the pickle says
                with contextlib.suppress(ConvnetError):
                    assert isinstance(unpickle(bytes(changed), "f"), dict)
