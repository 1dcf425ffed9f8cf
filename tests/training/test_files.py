"""Finding cfg files by path and by name."""

import os
from pathlib import Path

import pytest

from convnet.errors import ConvnetError
from convnet.training.files import find_layers, find_params, shipped

ROOT = Path(__file__).resolve().parents[2]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_net_comes_with_both_files():
    assert "alexnet" in shipped("layers-cfg")
    assert shipped("layers-cfg") == shipped("params-cfg")


@pytest.mark.parametrize("name", ["alexnet", "alexnet.cfg", "layers-cfg/alexnet.cfg", "layers-cfg/alexnet"])
def test_nets_that_come_with_convnet_are_found_from_anywhere(place, name):
    layers = find_layers(name)
    assert layers.samefile(ROOT / "layers-cfg" / "alexnet.cfg")
    assert find_params(None, layers).samefile(ROOT / "params-cfg" / "alexnet.cfg")


def test_a_file_here_wins_over_a_net_that_comes_with_convnet(place):
    own = touch(place / "layers-cfg" / "alexnet.cfg")
    assert find_layers("layers-cfg/alexnet.cfg").samefile(own)
    bare = touch(place / "alexnet")
    assert find_layers("alexnet").samefile(bare)


def test_a_bare_name_is_looked_up_in_the_cfg_folders_here_first(place):
    own = touch(place / "layers-cfg" / "alexnet.cfg")
    params = touch(place / "params-cfg" / "alexnet.cfg")
    mine = touch(place / "layers-cfg" / "mine.cfg")
    for name in ("alexnet", "alexnet.cfg", "layers-cfg/alexnet"):
        assert find_layers(name).samefile(own)
        assert find_params(None, find_layers(name)).samefile(params)
    assert find_layers("mine").samefile(mine)
    assert find_params("alexnet", mine).samefile(params)
    assert find_layers("lenet5").samefile(ROOT / "layers-cfg" / "lenet5.cfg")
    with pytest.raises(ConvnetError, match=r"params-cfg[/\\]mine\.cfg.*--params names one"):
        find_params(None, mine)
    with pytest.raises(ConvnetError, match="did you mean 'mine'"):
        find_layers("minee")


def test_a_folder_of_a_nets_name_does_not_hide_the_net(place):
    (place / "digits").mkdir()
    assert find_layers("digits").samefile(ROOT / "layers-cfg" / "digits.cfg")
    assert find_params("digits", place / "x.cfg").samefile(ROOT / "params-cfg" / "digits.cfg")
    (place / "other").mkdir()
    with pytest.raises(ConvnetError, match=r"^other: expected a layer file, found a directory"):
        find_layers("other")


def test_the_parameter_file_of_a_layer_file(place):
    layers = touch(place / "layers-cfg" / "my.cfg")
    with pytest.raises(ConvnetError, match=r"params-cfg[/\\]my\.cfg.*--params names one"):
        find_params(None, layers)
    assert find_params(None, layers, needed=False) is None
    params = touch(place / "params-cfg" / "my.cfg")
    assert find_params(None, layers) == params


def test_the_originals_names(place):
    layers = touch(place / "example" / "layers-80sec.cfg")
    params = touch(place / "example" / "layer-params-80sec.cfg")
    assert find_params(None, layers) == params
    own = touch(place / "params-cfg" / "layers-80sec.cfg")
    assert find_params(None, layers) == own, "the project's own rule comes first"


def test_a_net_of_the_same_name_elsewhere_does_not_get_our_parameters(place):
    layers = touch(place / "alexnet.cfg")
    assert find_params(None, layers, needed=False) is None


def test_a_parameter_file_by_name(place):
    layers = find_layers("alexnet")
    assert find_params("lenet5", layers).samefile(ROOT / "params-cfg" / "lenet5.cfg")
    other = touch(place / "fast.cfg")
    assert find_params("fast.cfg", layers).samefile(other)


@pytest.mark.parametrize("name", ["alexnte", "alexnte.cfg", "layers-cfg/alexnte.cfg"])
def test_a_misspelt_name(place, name):
    with pytest.raises(ConvnetError, match=f"^{name}: the layer file does not exist; did you mean 'alexnet'"):
        find_layers(name)


def test_what_else_is_not_a_file(place):
    with pytest.raises(ConvnetError, match=r"nowhere/net\.cfg: the layer file does not exist"):
        find_layers("nowhere/net.cfg")
    with pytest.raises(ConvnetError, match="expected a layer file, found a directory"):
        find_layers(str(place))
    with pytest.raises(ConvnetError, match=r"^quick\.cfg: the parameter file does not exist"):
        find_params("quick.cfg", find_layers("alexnet"))
    with pytest.raises(ConvnetError, match="expected a layer file"):
        find_layers("")
    with pytest.raises(ConvnetError, match=r"nets that come with convnet: .*alexnet.*digits"):
        find_layers("zzzzzzzzzzz")


def test_a_run_has_the_file_in_its_checkpoints(place):
    for number in (1, 2):
        touch(place / "run" / f"minibatch-{number}" / "state.json")
    file = os.path.join("run", "minibatch-2", "layers.cfg")
    with pytest.raises(ConvnetError) as caught:
        find_layers("run")
    assert str(caught.value) == f"run: expected a layer file, found a run; its file is {file}"
    checkpoint = os.path.join("run", "minibatch-1")
    with pytest.raises(ConvnetError) as caught:
        find_params(checkpoint, find_layers("alexnet"))
    found = f"found a checkpoint; its file is {os.path.join(checkpoint, 'params.cfg')}"
    assert str(caught.value) == f"{checkpoint}: expected a parameter file, {found}"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 253, "a\0b", "file/net.cfg", f"..{os.sep}" * 3000 + "net.cfg"])
def test_names_that_the_system_refuses(place, name):
    touch(place / "file")
    with pytest.raises(ConvnetError):
        find_layers(name)
    with pytest.raises(ConvnetError):
        find_params(name, find_layers("alexnet"))
