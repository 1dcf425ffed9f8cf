"""--conv-to-local and --unshare-weights of `convnet train`."""

from pathlib import Path

import pytest

from convnet.training.checkpoint import newest

from .conftest import DATA, LAYERS, NET, convnet, only_run


@pytest.fixture
def shared(small):
    """A run of a net in which `fc` uses one matrix twice."""
    text = LAYERS.replace("inputs=drop\n", "inputs=drop,drop\nweightSource=,fc\n")
    Path("small.cfg").write_text(text)
    convnet("train", *NET, *DATA, "--epochs", "1")
    return only_run()


def test_a_new_run_of_another_net_begins(shared):
    result = convnet("train", "--checkpoint", shared, "--epochs", "2", "--conv-to-local", "conv",
                     "--unshare-weights=fc[1],fc[0]")  # fmt: skip
    assert result.stderr.splitlines() == [
        "note: layer 'conv' has become a local layer", "note: the weight matrix fc[1] is no longer that of fc",
        "note: the weight matrix fc[0] is not shared",
    ]  # fmt: skip
    new = next(path for path in Path("runs").iterdir() if path.name != Path(shared).name)
    assert f"{new}, 2 epochs" in result.stdout
    assert "type=local" in (newest(new) / "layers.cfg").read_text()
    assert "weightSource" not in (newest(new) / "layers.cfg").read_text()
    assert "cost" in convnet("test", "--checkpoint", new).stdout
    # The options change a net once.
    assert "note:" not in convnet("train", "--checkpoint", new, "--epochs", "3").stderr


@pytest.mark.parametrize("option", ["--conv-to-local", "--unshare-weights"])
def test_a_new_net_has_nothing_to_change(small, option):
    result = convnet("train", *NET, *DATA, option, "conv", code=2)
    assert "change the net of a --checkpoint, found none" in result.stderr
    assert not Path("runs").exists()


def test_mistakes_change_nothing(shared):
    before = sorted(Path("runs").rglob("*"))
    result = convnet("train", "--checkpoint", shared, "--epochs", "2", "--conv-to-local", "cnov", code=2)
    assert result.stderr == (
        "convnet: --conv-to-local: expected a layer of the net, found 'cnov'; did you mean 'conv'?\n"
    )
    assert sorted(Path("runs").rglob("*")) == before
