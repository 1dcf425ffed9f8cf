"""Nets of checkpoints changed before training goes on: the same outputs at first, weights of their own from then on."""

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.config.report import ConfigError
from convnet.errors import ConvnetError
from convnet.training.checkpoint import Checkpoint
from convnet.training.evaluate import evaluate
from convnet.training.runs import continued_run
from convnet.training.surgery import Surgery
from convnet.training.testing import test_checkpoint as run_test
from tests.net.nets import DATA

from .small import PARAMS, Place, files_of, finish, resume

# one and two share a matrix of windows of 6x6, two and five another one; three has one of its own, with random
# connections and biases of its own; the two matrices of four are one.
LAYERS = (
    DATA
    + """
[base]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
initW=0.01
neuron=relu
[one]
Type = conv      ; may be written so
inputs=base
channels=4
filters=2
filterSize=3
padding=1
groups=2
initW=0.3
[two]
type=conv
inputs=base,one
channels=4
filters=4,2
filterSize=1,3
padding=0,1
groups=1,2
sharedBiases=yes
initW=0.2
initB=0.1
weightSource=,
  one[0]
[three]
type=conv
inputs=base
channels=4
filters=2
filterSize=3
stride=2
groups=4
randSparse=true
filterChannels=2
sharedBiases=0
initW=0.3
[five]
type=conv
inputs=base
channels=4
filters=4
filterSize=1
weightSource=two[0]
[four]
type=fc
inputs=one,two
outputs=5
initW=0.1
weightSource=,four
[fc]
type=fc
inputs=two,three,four,five
outputs=3
initW=0.1
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
)
RATES = "epsW=0.001\nepsB=0.002\nmomW=0.9\nmomB=0.9\nwc=0.01\n"
NET = PARAMS.partition("[conv1]")[0] + "".join(
    f"[{name}]\n{RATES}" for name in ("base", "one", "two", "three", "four", "five", "fc")
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has ended after an epoch, in which every weight has moved."""
    place = Place(tmp_path_factory.mktemp("surgery"))
    place.layers.write_text(LAYERS)
    place.params.write_text(NET)
    return place.uninterrupted(epochs=1).run


def changed(run, to_local=None, unshare=None, **given):
    """A trainer that goes on with the changed net."""
    given = {"epochs": 2, **given}
    return continued_run(run, None, given, DeviceOptions("cpu", 2), Surgery.parse(to_local, unshare))


def outputs(trainer):
    """The test costs: those of all outputs."""
    *_, totals = evaluate(trainer.net, trainer.session.provider, [3])
    return totals.averages()["logprob"]


def types(trainer):
    return {node.name: node.layer.type for node in trainer.session.graph.nodes}


@pytest.mark.parametrize(("to_local", "unshare", "become"), [
    ("one", None, {"one", "two", "five"}), ("two", None, {"one", "two", "five"}), ("three", None, {"three"}),
    ("three,base , one", None, {"base", "one", "two", "three", "five"}), (None, "two", set()),
    (None, "two[1],four[1],five", set()), ("one", "two,five", {"one", "two", "five"}),
])  # fmt: skip
def test_outputs_stay_and_training_goes_on(run, to_local, unshare, become, tmp_path):
    """To rounding, since a local layer adds up in another order; where nothing becomes local, to the last bit."""
    before = files_of(run)
    expected = outputs(resume(run, epochs=2))
    trainer = changed(run, to_local, unshare)
    kinds = types(trainer)
    assert {name for name, kind in kinds.items() if kind == "local"} == become
    found = outputs(trainer)
    assert found == (pytest.approx(expected, rel=1e-5) if become else expected)
    assert trainer.run != run
    assert files_of(run) == before
    finish(trainer)
    # The new run knows what its net is: it can be tested, and gone on with.
    end = outputs(trainer)
    assert end["cost"] != pytest.approx(expected["cost"], rel=1e-4)
    tested = run_test(trainer.run, {}, DeviceOptions("cpu", 2), lambda done, total: None)
    assert tested.costs["logprob"] == end
    again = resume(trainer.run, epochs=3)
    assert (again.run, types(again)) == (trainer.run, kinds)
    assert outputs(again) == end
    finish(again)


def test_weights_of_a_local_layer(run):
    """W below itself for every window; each bias for all windows of its filter; no increments."""
    old, new = Checkpoint.load(run).weights, changed(run, "two,three").net.state()
    one, two = old["one.weights.0"], old["two.weights.0"]
    assert old["one.weights.0.inc"].any()
    assert new["one.weights.0"].reshape(36, *one.shape).tolist() == [one.tolist()] * 36
    assert new["two.weights.0"].reshape(36, *two.shape).tolist() == [two.tolist()] * 36
    assert "two.weights.1" not in new
    assert new["two.biases"].reshape(4, 36).tolist() == [[bias] * 36 for bias in old["two.biases"][:, 0].tolist()]
    three = old["three.weights.0"]
    assert new["three.weights.0"].reshape(9, *three.shape).tolist() == [three.tolist()] * 9
    for name in ("three.biases", "three.biases.inc", "three.connections.0", "base.weights.0.inc", "fc.weights.0.inc"):
        assert np.array_equal(new[name], old[name]), name
        assert new[name].any()
    for name in ("one.weights.0", "two.weights.0", "two.biases", "three.weights.0"):
        assert not new[f"{name}.inc"].any()


def test_a_matrix_of_its_own(run):
    old, trainer = Checkpoint.load(run).weights, changed(run, None, "two[1],four")
    new = trainer.net.state()
    assert np.array_equal(new["two.weights.1"], old["one.weights.0"])
    assert np.array_equal(new["four.weights.1"], old["four.weights.0"])
    for name, values in old.items():
        assert np.array_equal(new[name], values), name
    assert not new["two.weights.1.inc"].any()
    notes = [note.text for note in trainer.session.files.report.notes]
    assert "the weight matrix two[1] is no longer that of one" in notes
    assert "the weight matrix four[0] is not shared" in notes
    finish(trainer)
    new = trainer.net.state()
    assert not np.allclose(new["two.weights.1"], new["one.weights.0"], rtol=1e-3)


def test_the_layer_file_changes_where_it_must(run):
    """Line by line: nothing else is touched, and all stays where it was."""
    before = Checkpoint.load(run).layers.splitlines()
    after = changed(run, "one", "two").session.files.layers.text.splitlines()
    assert len(before) == len(after)
    assert [(old, new) for old, new in zip(before, after, strict=True) if old != new] == [
        ("Type = conv      ; may be written so", "Type=local"), ("type=conv", "type=local"), ("sharedBiases=yes", ""),
        ("weightSource=,", ""), ("  one[0]", ""), ("type=conv", "type=local"),
    ]  # fmt: skip


@pytest.mark.parametrize(("to_local", "unshare", "message"), [
    ("four", None, "--conv-to-local: expected a conv layer, but 'four' has type 'fc'"),
    ("on", None, r"--conv-to-local: expected a layer of the net, found 'on'; did you mean 'one'\?"),
    ("one,,two", None, "--conv-to-local: expected names separated by commas, found 'one,,two'"),
    (None, "thre", r"--unshare-weights: expected a layer of the net, found 'thre'; did you mean 'three'\?"),
    (None, "two[2]", r"--unshare-weights: expected a matrix below two\[2\], found 'two\[2\]'"),
    (None, "probs", "--unshare-weights: expected a layer with weights, found 'probs'"),
    (None, "two[x]", r"--unshare-weights: expected layer or layer\[index\], found 'two\[x\]'"),
])  # fmt: skip
def test_what_cannot_be_changed(run, to_local, unshare, message):
    before = sorted(run.parent.rglob("*"))
    with pytest.raises(ConvnetError, match=f"^{message}$"):
        changed(run, to_local, unshare)
    assert sorted(run.parent.rglob("*")) == before


def test_layers_that_share_filters_but_have_other_windows(tmp_path):
    """Local layers would need matrices of one size."""
    place = Place(tmp_path)
    extra = "[two2]\ntype=conv\ninputs=base\nchannels=4\nfilters=2\nfilterSize=3\ngroups=2\nweightSource=one\n"
    text = LAYERS.replace("[three]", f"{extra}[three]").replace("inputs=two,three", "inputs=two,two2,three")
    place.layers.write_text(text)
    place.params.write_text(f"{NET}[two2]\n{RATES}")
    trainer = place.uninterrupted(epochs=1)
    with pytest.raises(ConfigError, match=r"\[two2\] weightSource: expected weights of 288x4, but 'one.*has 648x4"):
        changed(trainer.run, "one")
    assert types(changed(changed_run(trainer.run), "one", epochs=3))["two2"] == "conv"


def changed_run(run):
    """The run with two2 on its own, at its end."""
    trainer = changed(run, None, "two2")
    finish(trainer)
    return trainer.run


def test_gradients_that_are_summed_up_over_several_minibatches(tmp_path):
    """Those of what is changed begin anew."""
    place = Place(tmp_path)
    place.layers.write_text(LAYERS)
    place.params.write_text(NET.replace(RATES, f"{RATES}updatePeriod=3\n"))
    run = place.uninterrupted(epochs=1).run
    old = Checkpoint.load(run).weights
    assert old["one.weights.0.grad.0"].any()
    trainer = changed(run, "one", "two,four")
    new = trainer.net.state()
    for name in ("one.weights.0", "one.biases", "two.weights.1", "four.weights.1"):
        assert new[f"{name}.grad.0"].shape == new[name].shape
        assert not new[f"{name}.grad.0"].any(), name
    for name in ("base.weights.0.grad.0", "three.biases.grad.0", "four.weights.0.grad.0"):
        assert np.array_equal(new[name], old[name]), name
    finish(trainer)


def test_random_connections_stay_when_a_run_goes_on_without_the_function_that_gave_them(tmp_path, monkeypatch):
    import sys

    (tmp_path / "own_sparse.py").write_text("def f(name, index, sizes, params):\n"
                                            "    return [3, 2, 1, 0] * (sizes[0] * sizes[2] // 4)\n")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "net")
    place.layers.write_text(LAYERS.replace("filterChannels=2\n", "filterChannels=2\ninitCFunc=own_sparse.f\n"))
    place.params.write_text(NET)
    trainer = place.uninterrupted(epochs=1)
    (tmp_path / "own_sparse.py").unlink()
    sys.modules.pop("own_sparse")
    for again in (resume(trainer.run, epochs=2), resume(trainer.run, epochs=2, seed=99)):
        assert again.net.state()["three.connections.0"].tolist() == [[3, 2], [1, 0], [3, 2], [1, 0]]
        assert outputs(again) == outputs(trainer)
