"""Initial weights and biases."""

import re
import sys

import numpy as np
import pytest
from scipy import stats

from convnet.config.kinds import FunctionCall
from convnet.weights.initial import find_function, from_function, normal


def test_weights_are_normal_with_deviation_initw():
    values = normal(3, "conv1", 0, (200, 250), 0.02)
    assert values.dtype == np.float32
    assert values.shape == (200, 250)
    assert stats.kstest(values.ravel().astype(float) / 0.02, "norm").pvalue > 0.01
    for one, next_one in [(values[:-1], values[1:]), (values[:, :-1], values[:, 1:])]:
        assert abs(np.corrcoef(one.ravel(), next_one.ravel())[0, 1]) < 0.02
    assert len(np.unique(values)) > 0.99 * values.size


def test_a_deviation_of_0_gives_zeros():
    assert not normal(3, "conv1", 0, (4, 5), 0.0).any()


def test_draws_scale_with_the_deviation():
    one, other = (normal(3, "conv1", 0, (4, 5), deviation) for deviation in (1.0, 0.25))
    assert np.array_equal(one * np.float32(0.25), other)


def test_draws_depend_on_seed_layer_and_index_alone():
    first = normal(3, "conv1", 0, (300, 30), 1.0)
    assert np.array_equal(first, normal(3, "conv1", 0, (300, 30), 1.0))
    others = [(4, "conv1", 0), (3, "conv2", 0), (3, "conv1", 1), (0, "conv1", 3), (3 + 2**32, "conv1", 0)]
    for seed, layer, index in others:
        other = normal(seed, layer, index, (300, 30), 1.0)
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.04, (seed, layer, index)


MODULE = """
import functools
import sys
import numpy as np

seen = []

def weights(name, index, shape, params):
    seen.append((name, index, shape, params))
    return np.full(shape, index + 1, np.float32)

def biases(name, shape, params=[]):
    seen.append((name, shape, params))
    return np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)

def fails(*arguments, params):
    raise RuntimeError("no idea")

def ends(*arguments, params):
    sys.exit(4)

class Refuses:
    def __call__(self, *arguments, params):
        raise RuntimeError("no idea")

refuses = Refuses()
partly = functools.partial(fails)

def nothing(*arguments, params):
    pass

def a_list(*arguments, params):
    return [[1.0]]

def not_finite(name, *arguments, params):
    shape = arguments[-1]
    return np.full(shape, np.nan, np.float32)

def doubles(name, *arguments, params):
    return np.zeros(arguments[-1])

def transposed(name, *arguments, params):
    return np.zeros(arguments[-1][::-1], np.float32)

def no_params(name, index, shape):
    return np.zeros(shape, np.float32)

number = 5
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module beside the place where the program runs."""
    (tmp_path / "own_init_values.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "own_init_values"
    sys.modules.pop("own_init_values", None)


def call(text):
    return FunctionCall().parse(text)


def test_the_function_for_weights(module):
    before = list(sys.path)
    found = [from_function(call(f"{module}.weights(0.5, abc)"), "fc", *of) for of in ((0, (2, 3)), (1, (4, 3)))]
    assert [values.tolist() for values in found] == [[[1.0] * 3] * 2, [[2.0] * 3] * 4]
    assert sys.modules[module].seen == [("fc", 0, (2, 3), ["0.5", "abc"]), ("fc", 1, (4, 3), ["0.5", "abc"])]
    assert sys.path == before


def test_the_function_for_biases(module):
    assert from_function(call(f"{module}.biases"), "conv", None, (4, 1)).tolist() == [[0], [1], [2], [3]]
    assert sys.modules[module].seen == [("conv", (4, 1), [])]


@pytest.mark.parametrize(("name", "message"), [
    ("fails", "'fails' failed: RuntimeError"), ("refuses", ".* failed: RuntimeError"),
    ("partly", ".* failed: RuntimeError"), ("ends", r"'ends' failed: SystemExit\(4\)"),
    ("no_params", "'no_params' failed: TypeError"), ("nothing", "expected a NumPy array, found NoneType"),
    ("a_list", "expected a NumPy array, found list"), ("doubles", "expected an array of float32, found float64"),
    ("not_finite", "expected finite numbers, found nan"),
    ("transposed", r"expected an array of shape \(2, 3\), found \(3, 2\)"),
    ("missing", "expected a function 'missing' in module 'own_init_values', found none"),
    ("number", "expected a function 'number' in module 'own_init_values', found none"),
])  # fmt: skip
def test_functions_that_do_not_do(module, name, message):
    for index in (0, None):
        with pytest.raises(ValueError, match=f"^{message}"):
            from_function(call(f"{module}.{name}"), "fc", index, (2, 3))


def test_a_function_is_found_without_being_called(module):
    assert find_function(call(f"{module}.fails")) is sys.modules[module].fails
    assert sys.modules[module].seen == []


@pytest.mark.parametrize(("text", "message"), [
    ("x = 1 +\n", "failed: SyntaxError"), ("import own_other\n", r"failed: ModuleNotFoundError.*own_other"),
    ("raise SystemExit(2)\n", r"failed: SystemExit\(2\)"), ("1 / 0\n", "failed: ZeroDivisionError"),
])  # fmt: skip
def test_modules_that_do_not_do(module, tmp_path, text, message):
    before = list(sys.path)
    (tmp_path / "own_broken.py").write_text(text)
    with pytest.raises(ValueError, match=f"^importing 'own_broken' {message}"):
        find_function(call("own_broken.f"))
    assert sys.path == before


@pytest.mark.parametrize(("name", "file"), [("own_missing", "own_missing.py"), ("own_a.b", "own_a/b.py")])
def test_a_module_that_is_not_there(module, tmp_path, name, file):
    where = re.escape(f"{file} in the present folder ({tmp_path}) or an installed module")
    with pytest.raises(ValueError, match=f"^expected {where}, found none$"):
        find_function(call(f"{name}.f"))


def test_a_module_may_change_the_path(module, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_path.py").write_text("import sys\nsys.path = sys.path[1:]\ndef f(*arguments, params): pass\n")
    try:
        assert find_function(call("own_path.f")).__name__ == "f"
    finally:
        sys.modules.pop("own_path", None)


OWN = FunctionCall(("makew",), "convnet.training.initw", "initw")


@pytest.fixture
def own_initw(tmp_path, monkeypatch):
    """Writes an initw.py beside the place where the program runs."""
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("initw", None)
    yield (tmp_path / "initw.py").write_text
    sys.modules.pop("initw", None)


def test_the_functions_that_come_with_convnet_give_way_to_the_users(own_initw):
    before = find_function(OWN.parse("initw.makew(a)"))
    assert before is find_function(OWN.parse("makew(a)"))
    assert before.__module__ == "convnet.training.initw"
    own_initw("def makew(name, index, shape, params): return (name, index, shape, params)\n")
    found = find_function(OWN.parse("initw.makew(a)"))
    assert found("fc", 0, (2, 3), ["a"]) == ("fc", 0, (2, 3), ["a"])
    assert find_function(OWN.parse("makew(a)")) is before, "alone it is always the one that comes with convnet"


def test_a_module_of_the_users_without_the_function(own_initw):
    own_initw("def makec(*arguments): pass\n")
    assert find_function(OWN.parse("initw.makew(a)")).__module__ == "convnet.training.initw"
    assert find_function(OWN.parse("initw.makec(a)")).__module__ == "initw"
    with pytest.raises(ValueError, match=r"^expected a function 'makex' in module 'initw', found none$"):
        find_function(OWN.parse("initw.makex(a)"))


def test_a_module_of_the_users_that_cannot_be_imported_is_not_passed_over(own_initw):
    own_initw("from gpumodel import *\n")
    hint = "; 'makew' alone is the function that comes with convnet"
    with pytest.raises(ValueError, match=f"^importing 'initw' failed: .*gpumodel.*{hint}$"):
        find_function(OWN.parse("initw.makew(a)"))
