"""Whatever is in the two files, they give a net or a ConfigError, and a net prints back to files of the same net."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from convnet.config.reader import parse, read
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.graph.describe import describe
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.graph.write import layer_file, parameter_file
from convnet.layers import layer_types
from convnet.layers.common import common_keys, common_params
from convnet.plan.describe import describe_plan
from convnet.shape import Shape
from convnet.training.files import find_params
from convnet.training.session import NetFiles
from tests.conftest import ROOT, SHARED
from tests.layers.examples import EXAMPLES, example

FUZZ = settings(max_examples=60, deadline=None, derandomize=True, database=None)
Shapes = list[Shape]
SMALL = [Shape.of_maps(3, 7, 5), Shape(1), Shape(4)]
# A family in two files, and every layer type.
FAMILY = ("width=4\ninclude=body\n[c]\ntype=cost.sum2\ninputs=fc\n[l]\ntype=cost.sum2\ninputs=labels\n",
          "width=3\n[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n[fc]\ntype=fc\ninputs=data\n"
          "outputs=${width}\nneuron=tanh[${width},1]\ndropout=0.5\n")  # fmt: skip
KEYS = sorted({key.name for cls in layer_types().values()
               for key in (*cls.keys, *cls.params, *common_keys(cls), *common_params(cls))})  # fmt: skip
VALUES = ["0", "1", "2", "3", "-1", "0.5", "1e-3", "16", "99999", "999999999999999999", "true", "relu", "tanh[1,2]",
          "", "max", "data", "1,2", "0,1", "exp[base=1;tgtFactor=2]", "x[1]", "${v}", "%(inputs)s", "%", "a.b(c)",
          "nan", "\u00b2", "9" * 5000, "0,1,2,3"]  # fmt: skip


def built(layers: str, params: str | None, shapes: Shapes) -> LayerGraph | None:
    """The graph of these texts, which can be planned; None where they are refused."""
    report = Report()
    files = parse(layers, "l.cfg", report), None if params is None else parse(params, "p.cfg", report)
    net = NetFiles(*files, {}, report)
    assert net.classes is None or net.classes > 0
    try:
        graph = net.graph(shapes, None)
    except ConfigError as error:
        check_message(error)
        return None
    if params is not None:
        assert describe_plan(graph, 4)["steps"]
    return graph


def check_message(error: ConfigError) -> None:
    assert len(str(error).splitlines()) == len(error.problems) > 0


def check(layers: str, params: str | None, shapes: Shapes) -> bool:
    """The files are refused, or print back to files of the same net that print the same; whether they are read."""
    graph = built(layers, params, shapes)
    if graph is None:
        return False
    printed = layer_file(graph, alone=params is None), None if params is None else parameter_file(graph)
    again = built(*printed, shapes)
    assert again is not None, printed
    assert describe(again) == describe(graph)
    pairs = zip(again.nodes, graph.nodes, strict=True)
    assert all(_meaning(new) == _meaning(old) for new, old in pairs)
    assert layer_file(again, alone=params is None) == printed[0]
    assert params is None or parameter_file(again) == printed[1]
    return True


def _meaning(node: Node) -> object:
    rates = [(name, str(parameter.eps)) for name, parameter in node.parameters.items()]
    learning = {key: value for key, value in node.layer.learning.items() if key[:3] not in ("eps", "sch")}
    return node.layer.values, learning, rates


def pairs() -> dict[str, tuple[str, str, Shapes]]:
    """Files that are right, by name: those of nets, an example of each layer type, and the originals' if they are here.

    With each the shapes of data that it is right for.
    """
    found = {path.stem: path for path in sorted((ROOT / "layers-cfg").glob("*.cfg"))}
    originals = (SHARED / "reference" / "original-cfgs").glob("*/layers*.cfg")
    found |= {f"{path.parent.name}/{path.stem}": path for path in sorted(originals)}
    texts = {name: (example(name)[0], example(name)[1], SMALL) for name in EXAMPLES}
    for name, path in found.items():
        files = (path, find_params(None, path))
        layers, params = (read(file, Report()).text for file in files if file)
        image = re.search(r"^input=(\d+)x(\d+)x(\d+)$", params, re.MULTILINE)
        size = (3, 224, 224) if "imagenet" in name else (3, 32, 32)
        maps = Shape.of_maps(*(map(int, image.groups()) if image else size))
        texts[name] = layers, params, [maps, Shape(1), Shape(10)]
    return texts


PAIRS = pairs()


def changed_line(draw: st.DrawFn, line: str) -> str:
    """The line with another value, its value twice, other numbers, or any letters in it."""
    key, mark, value = line.partition("=")
    cut = draw(st.integers(0, len(line)))
    return draw(st.sampled_from([
        f"{key}{mark}{draw(st.sampled_from(VALUES))}", f"{key}{mark}{value}, {value}",
        re.sub(r"\d+", draw(st.sampled_from(["0", "1", "2", "4"])), line),
        line[:cut] + draw(st.text("[]=:;#%$(){},.-e0 \t\n\x0b\x85a\u0131\u00b2", max_size=4)) + line[cut:],
    ]))  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """The text with some lines gone, doubled, moved or changed, or with other keys."""
    lines = text.splitlines()
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        assume(lines)
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["gone", "doubled", "moved", "key", "changed", "changed", "changed"]))
        line = lines.pop(at) if change in ("gone", "moved", "changed") else lines[at]
        if change in ("doubled", "moved"):
            lines.insert(draw(st.integers(0, len(lines))), line)
        elif change == "key":
            lines.insert(at + 1, f"{draw(st.sampled_from(KEYS))}={draw(st.sampled_from(VALUES))}")
        elif change == "changed":
            lines.insert(at, changed_line(draw, line))
    return "\n".join(lines)


@pytest.mark.parametrize("name", PAIRS)
def test_right_files_print_back(name: str) -> None:
    layers, params, shapes = PAIRS[name]
    assert check(layers, params, shapes)
    assert check(layers, None, shapes)


@settings(FUZZ, max_examples=500)
@given(st.data())
def test_mutated_files(data: st.DataObject) -> None:
    layers, params, shapes = PAIRS[data.draw(st.sampled_from(sorted(PAIRS)))]
    which = data.draw(st.sampled_from(["layers", "params", "both", "layers alone"]))
    if which != "params":
        layers = data.draw(mutated(layers))
    if which in ("params", "both"):
        params = data.draw(mutated(params))
    whole = check(layers, None if which == "layers alone" else params, shapes)
    event("read" if whole else "refused")


@FUZZ
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, layers: bytes, params: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    paths = [folder / "l.cfg", folder / "p.cfg"]
    for path, content in zip(paths, (layers, params), strict=True):
        path.write_bytes(content)
    report = Report()
    with pytest.raises(ConfigError):
        build_graph(*(read(path, report) for path in paths), SMALL, report)


@settings(FUZZ, max_examples=200)
@given(st.data())
def test_mutated_family(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Files that include each other; what is read means the same as its own text."""
    folder = tmp_path_factory.mktemp("family")
    which = data.draw(st.integers(0, 1))
    for index, name in enumerate(("net", "body")):
        text = data.draw(mutated(FAMILY[index])) if index == which else FAMILY[index]
        Path(folder / f"{name}.cfg").write_text(text, encoding="utf-8")
    report = Report()
    try:
        cfg = read(folder / "net.cfg", report)
        graph = build_graph(cfg, None, SMALL, report)
    except ConfigError as error:
        check_message(error)
        return
    again = built(cfg.text, None, SMALL)
    assert again is not None
    assert describe(again) == describe(graph)
    assert layer_file(again, alone=True) == layer_file(graph, alone=True)
