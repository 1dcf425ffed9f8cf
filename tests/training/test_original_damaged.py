"""Checkpoints of cuda-convnet that are damaged or forged: one clear message each, and nothing is run."""

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from convnet.errors import ConvnetError
from convnet.training.original_checkpoints import load_original
from convnet.training.original_import import import_original

from .originals import dumps, imported, layers_of, loaded, original


class Forged:
    """Writes itself as the call of a function."""

    def __init__(self, content):
        self.content = content

    def write(self, _):
        return self.content


def attacks(made):
    call = b"(T" + len(made).to_bytes(4, "little") + made.encode() + b"t"
    return {
        "reduce": b"cposix\nmkdir\n" + call + b"R",
        "inst": b"(T" + len(made).to_bytes(4, "little") + made.encode() + b"iposix\nmkdir\n",
        "obj": b"(cposix\nmkdir\nT" + len(made).to_bytes(4, "little") + made.encode() + b"o",
        "newobj": b"csubprocess\nPopen\n" + call + b"\x81",
        "codecs": b"c_codecs\nlookup\n" + call + b"R",
        "parser": b"clayer\nConvLayerParser\n)R",
        "beside options": b"coptions.os\nmkdir\n" + call + b"R",
    }


@pytest.mark.parametrize("attack", attacks("x"))
@pytest.mark.parametrize("where", ["op", "layer", "state"])
def test_nothing_of_a_checkpoint_is_run(tmp_path, attack, where):
    made = str(tmp_path / "made")
    value = original(2)
    forged = Forged(attacks(made)[attack])
    if where == "op":
        value["op"] = forged
    elif where == "layer":
        layers_of(value)["fc"]["x"] = forged
    else:
        value["op"].state["options"] = forged
    with pytest.raises(ConvnetError, match=r"9\.9: refused, as only arrays and plain values may be in it; found \S+$"):
        loaded(tmp_path, value)
    assert not Path(made).exists()


@pytest.mark.parametrize("name", ["os.mkdir", "OptionsParser", "os"])
def test_what_is_called_an_option_is_inert(tmp_path, monkeypatch, name):
    """Whatever class of the originals' module a pickle names or calls: no module is imported for it."""
    monkeypatch.syspath_prepend(tmp_path)
    made = tmp_path / "made"
    (tmp_path / "options.py").write_text(f"open({str(made)!r}, 'w')")
    value = original(1)
    layers_of(value)["fc"]["x"] = Forged(b"coptions\n" + name.encode() + b"\n(K\1tR")
    assert loaded(tmp_path, value).layers["fc"]["type"] == "fc"
    assert not made.exists()


def test_truncated_and_changed_pickles(tmp_path):
    """Cut anywhere, or with bytes changed: an error or a net, and never another exception."""
    whole, drawn = dumps(original(2)), random.Random(1)
    path = tmp_path / "1.1"
    for end in [*range(200), *(drawn.randrange(len(whole)) for _ in range(100)), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(ConvnetError, match=r"1\.1: expected a pickle"):
            load_original(path)
    for _ in range(400):
        changed = bytearray(whole)
        place = drawn.choice([drawn.randrange(len(whole)), whole.index(b"T", drawn.randrange(len(whole) - 900)) + 5])
        changed[place] = drawn.choice([0x28, 0x2E, 0x4E, 0x5D, 0x7D, 0x61, 0x73, drawn.randrange(128)])
        if changed[place] in b"rjq":
            continue  # these opcodes take as much memory as the pickle says
        path.write_bytes(bytes(changed))
        with contextlib.suppress(ConvnetError):
            import_original(path)


def broken(change):
    value = original(2)
    change(value, layers_of(value))
    return value


BROKEN = {
    "no state": (lambda v, _: v.pop("model_state"), "model_state: expected a value of type dict"),
    "no options": (lambda v, _: v.update(op=[1]), "op: expected options, as cuda-convnet writes it; found list"),
    "no layers": (lambda v, _: v["model_state"].pop("layers"), "layers: expected a value of type dict.* found nothing"),
    "epoch": (lambda v, _: v["model_state"].update(epoch="1"), "epoch: expected a value of type int.* found str"),
    "epoch 0": (lambda v, _: v["model_state"].update(epoch=0), "epoch: expected a number of at least 1"),
    "outputs": (lambda v, _: v["model_state"].update(test_outputs=5), "test_outputs: expected a value of type list"),
    "layer": (lambda _, of: of.update(fc=3), "layers: expected a value of type dict.* found int"),
    "id": (lambda _, of: of["fc"].pop("id"), "the id of a layer: expected a value of type int"),
    "name": (
        lambda _, of: of["fc"].update(name="a]\n[b"),
        r"name: expected a name that a layer file can hold.* found 'a\]\\n\[b'",
    ),
    "same name": (lambda _, of: of["fc"].update(name="fca"), "layers: expected different names.* found fca"),
    "type": (lambda _, of: of["fc"].update(type="fcc"), "layer 'fc': unknown layer type 'fcc'; did you mean 'fc'"),
    "input": (
        lambda _, of: of["fc"].update(inputs=["conv9",
        "sum"]), "layer 'fc': inputs: expected names of layers.* 'conv9'",
    ),
    "circle": (
        lambda _, of: of["pool1"].update(inputs=["pool1"]),
        r"layers.cfg:\d+: \[pool1\] inputs: input layer 'pool1' is not",
    ),
    "inputs": (lambda _, of: of["fc"].update(inputs="sum"), "layer 'fc': inputs: expected a value of type list"),
    "value": (lambda _, of: of["pool1"].update(pool="max\n[x]"), "layer 'pool1': pool: expected a value that"),
    "nested": (lambda _, of: of["fc"].update(initW=[[1.0]]), "layer 'fc': initW: expected a value that"),
    "groups": (lambda _, of: of["conv1"].update(groups=[0]), "layer 'conv1': filters: expected a value that"),
    "scale": (lambda _, of: of["norm1"].update(size="a"), "layer 'norm1': scale: expected a value that"),
    "neuron": (lambda _, of: of["conv1"].update(neuron="rely"), r"layers.cfg:\d+: \[conv1\] neuron: expected a neuron"),
    "rate": (
        lambda _, of: of["fc"].update(epsB={"type": "dexp",
        "params": {"base": 1.0}}), r"params.cfg:\d+: \[fc\] epsB",
    ),
    "data": (lambda _, of: of["data"].update(dataIdx=99999999), "layer 'data': expected dataIdx and outputs"),
    "no weights": (
        lambda _, of: of["fc"].pop("weights"),
        r"layer 'fc': weights\[0\]: expected numbers of the shape \(54, 3\), found NoneType",
    ),
    "one matrix": (
        lambda _, of: of["fc"]["weights"].pop(),
        r"layer 'fc': weights\[1\]: expected numbers of the shape \(4, 3\)",
    ),
    "shape": (
        lambda _, of: of["conv1"].update(biasesInc=np.zeros((1, 8), np.float32)),
        r"layer 'conv1': biasesInc: expected numbers of the shape \(8, 1\), found float32 of \(1, 8\)",
    ),
    "integers": (
        lambda _, of: of["local1"].update(weights=[np.zeros((324, 6), np.int32)]),
        r"layer 'local1': weights\[0\]: expected numbers of the shape \(324, 6\), found int32",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_gets_one_message(tmp_path, change, message):
    with pytest.raises(ConvnetError, match=message) as caught:
        imported(tmp_path, broken(change))
    assert str(caught.value).startswith(str(tmp_path / "9.9"))
    assert "\n" not in str(caught.value)


def test_indices_of_layers_that_are_not_there(tmp_path):
    value = original(1)
    layers_of(value)["fc"]["inputs"] = [3, 14]
    with pytest.raises(ConvnetError, match=r"layer 'fc': inputs: expected numbers of 14 layers.* found \[3, 14\]"):
        loaded(tmp_path, value)


def test_what_is_nested_deeply_is_no_trouble(tmp_path):
    value, deep = original(2), []
    for _ in range(50_000):
        deep = [deep]
    layers_of(value)["fc"]["initW"] = "deep"
    content = dumps(value).replace(b"T\4\0\0\0deep", b"]" * 50_000 + b"a" * 49_999)
    (tmp_path / "1.1").write_bytes(content)
    with pytest.raises(ConvnetError, match="layer 'fc': initW: expected a value that"):
        import_original(tmp_path / "1.1")


def test_checkpoints_of_2012_are_refused_in_one_sentence(tmp_path):
    """Their layers are a dict without the numbers of their order."""
    value = original(2)
    for layer in layers_of(value).values():
        del layer["id"]
        if "epsW" in layer:
            params = {"tgtFactor": 250.0, "noiseStdev": 0.0, "numSteps": 4}
            layer |= {"schedW": {"type": "dexp", "params": params}, "schedB": {"type": "default", "params": {}}}
    with pytest.raises(ConvnetError) as caught:
        loaded(tmp_path, value)
    wanted = "expected a checkpoint of cuda-convnet or cuda-convnet2; those of the code of 2012 cannot be read"
    assert str(caught.value) == f"{tmp_path / '9.9'}: {wanted}"
