"""What must hold for every layer type, tested from the types' own declarations."""

import numpy as np
import pytest

from convnet.config.kinds import Bool, Choice, Custom, Float, FunctionCall, Int, ListOf, Names
from convnet.config.report import ConfigError
from convnet.layers import layer_types
from convnet.layers.common import common_keys
from convnet.net import ConvNet
from convnet.net.gradient_check import check_gradients
from tests.net.nets import graph_of

from .examples import BASE, EXAMPLES, OUTPUTS, example

IMAGE = (3, 7, 5)


def test_every_type_has_an_example():
    assert {kind for kind, _, _ in EXAMPLES.values()} == set(layer_types())


@pytest.mark.parametrize("name", EXAMPLES)
def test_output_shape(name):
    shape = graph_of(*example(name), image=IMAGE)["x"].layer.shape
    expected = OUTPUTS.get(name, BASE)
    if isinstance(expected, tuple):
        assert (shape.maps, shape.features) == (expected, expected[0] * expected[1] * expected[2])
    else:
        assert (shape.maps, shape.features) == (None, expected)


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_equal_numeric_ones(name, device):
    graph = graph_of(*example(name), image=IMAGE)
    net = ConvNet(graph, device, mini=5, seed=1, dtype=np.float64, input_grads=True)
    generator = np.random.default_rng(2)
    images = generator.standard_normal((4, *IMAGE[1:], IMAGE[0]))
    labels = generator.integers(0, 4, (4, 1)).astype(float)
    checks = list(check_gradients(net, [images, labels]))
    found = {check.name for check in checks}
    assert {"base.weights.0", "base.biases", "last.weights.0"} <= found
    assert ("data" in found) == graph["x"].layer.passes_gradient
    for check in checks:
        assert abs(check.analytic) > 1e-6, f"{check.name}: nothing to compare"
        assert check.error < 1e-6, check


def bad_values(kind):
    """Values that a kind must refuse."""
    if isinstance(kind, ListOf):
        return bad_values(kind.kind)
    if isinstance(kind, Int):
        return ["x", "1.5", ""] + ([str(kind.minimum - 1)] if kind.minimum is not None else [])
    if isinstance(kind, Float):
        low = [str(kind.minimum - 1)] if kind.minimum is not None else []
        outside = [str(bound) for bound in (kind.above, kind.below) if bound is not None]
        return ["x", "nan", "inf", "", *low, *outside]
    if isinstance(kind, Names):
        return ["", "a,,b"]
    if isinstance(kind, (Bool, Choice)):
        return ["perhaps", ""]
    if isinstance(kind, FunctionCall):
        return ["justaname", "a.b(", ""]
    assert isinstance(kind, Custom), kind
    return ["[", "no such[1,2", "tanh[nan,1]", "drelu[0]"]


def keys_in_both_files():
    for kind, cls in layer_types().items():
        name = next(name for name, found in EXAMPLES.items() if found[0] == kind)
        for in_params, keys in ((False, (*common_keys(cls), *cls.keys)), (True, cls.params)):
            for key in keys:
                for value in bad_values(key.kind):
                    yield pytest.param(name, key, value, in_params, id=f"{kind}-{key.name}={value}")


def with_value(text, key, value):
    """The text with `key` of section [x] set to `value`, and the line where it stands."""
    lines = text.splitlines()
    begin = lines.index("[x]") if "[x]" in lines else len(lines)
    lines[begin:] = lines[begin:] or ["[x]"]
    end = next((i for i in range(begin + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    kept = [line for line in lines[begin:end] if not line.lower().startswith(f"{key.lower()}=")]
    lines[begin:end] = [*kept, f"{key}={value}"]
    return "\n".join(lines) + "\n", begin + len(kept) + 1


@pytest.mark.parametrize(("name", "key", "value", "in_params"), list(keys_in_both_files()))
def test_bad_value_is_named_with_its_line(name, key, value, in_params):
    layers, params = example(name)
    if in_params:
        params, line = with_value(params, key.name, value)
    else:
        layers, line = with_value(layers, key.name, value)
    with pytest.raises(ConfigError) as caught:
        graph_of(layers, params, image=IMAGE)
    file = "params.cfg" if in_params else "layers.cfg"
    prefix = f"{file}:{line}: [x] {key.name}: expected "
    assert str(caught.value).startswith(prefix), str(caught.value)
    assert len(caught.value.problems) == 1, str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind, cls in layer_types().items() if cls.inputs_range[1]])
def test_wrong_numbers_of_inputs(kind):
    name = next(name for name, found in EXAMPLES.items() if found[0] == kind)
    layers, params = example(name)
    _, most = layer_types()[kind].inputs_range
    many = ",".join(["base"] * (most + 1)) if most < 10 else ""
    for inputs in ("", many) if many else ("",):
        text, _ = with_value(layers, "inputs", inputs)
        with pytest.raises(ConfigError, match=r"\[x\] inputs: expected"):
            graph_of(text, params, image=IMAGE)


@pytest.mark.parametrize("kind", [kind for kind, cls in layer_types().items() if cls.needs_params])
def test_missing_section_of_the_parameter_file(kind):
    name = next(name for name, found in EXAMPLES.items() if found[0] == kind)
    layers, params = example(name)
    message = rf"\[x\] a layer of type '{kind}' needs a section \[x\] with .* in params.cfg"
    with pytest.raises(ConfigError, match=message):
        graph_of(layers, params.partition("[x]")[0], image=IMAGE)
