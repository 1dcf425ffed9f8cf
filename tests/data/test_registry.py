"""Which provider a path is for, names, options, and what is said about them."""

import numpy as np
import pytest

from convnet.data import ProviderOptions, open_provider, provider_names
from convnet.errors import ConvnetError
from convnet.shape import Maps

from .makers import write_tar


def test_names():
    assert list(provider_names()) == [
        "image-batches", "cifar", "cifar-cropped", "idx", "npz", "image-folder", "sample",
        "dummy-<channels>x<y>x<x>-<classes>",
    ]  # fmt: skip
    assert all(provider_names().values())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"crop": -1}, "crop: expected an integer of at least 0, found -1"),
        ({"crop_border": -1}, "crop border: expected an integer of at least 0, found -1"),
        ({"crop": 3, "crop_border": 1}, "crop and crop border: expected one of them, found both"),
        ({"noise": -0.1}, "noise: expected a number of at least 0, found -0.1"),
        ({"noise": float("nan")}, "noise: expected a number of at least 0, found nan"),
        ({"scalar_mean": float("inf")}, "scalar mean: expected a finite number, found inf"),
        ({"batch_size": 0}, "batch size: expected an integer of at least 1, found 0"),
        ({"image_size": 0}, "image size: expected an integer of at least 1, found 0"),
        ({"image_size": 65537}, "image size: expected at most 65536 pixels a side, found 65537"),
        ({"crop": 65537}, "crop: expected at most 65536 pixels a side, found 65537"),
        ({"input": Maps(3, 8, 65537)}, "input: expected at most 65536 pixels a side, found 65537"),
        ({"test_share": 0.0}, "test share: expected a number above 0 and below 1, found 0.0"),
        ({"test_share": 1.0}, "test share: expected a number above 0 and below 1, found 1.0"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ConvnetError, match=text):
        ProviderOptions(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"provider": "cifra"}, "data provider: expected one of image-batches, cifar, .*; found 'cifra'"),
        ({"provider": "dummy-3x32-10"}, "expected dummy-<channels>x<y>x<x>-<classes>.* found 'dummy-3x32-10'"),
        ({"provider": "dummy-0x3x2-10"}, "found 'dummy-0x3x2-10'"),
        ({"provider": "dummy-3x9999999999x9999999999-10"}, "at most 2147483648 bytes in a data batch"),
        ({"provider": "dummy-1x2048x2049-2"}, "at most 2147483648 bytes .* found 2148532224 bytes, for 128 cases"),
        ({"provider": "dummy-1x8x8-1000001"}, "and 1000000 classes; found 32768 bytes, for 128 cases, and 1000001"),
        ({"provider": "dummy-1x8x8-2", "batch_size": 2**23 + 1}, "found 2147483904 bytes, for 8388609 cases"),
        ({"provider": f"dummy-1x8x8-{'9' * 5000}"}, "expected dummy-<channels>x<y>x<x>-<classes>"),
        ({"input": Maps(3, 8, 4097)}, "the built-in sample: expected images of at most 4096 pixels .* found 8x4097"),
        ({"input": Maps(1, 8, 8), "image_size": 4097}, "the built-in sample: expected images of at most 4096 pixels"),
        ({"provider": "cifar"}, "data provider cifar: expected the path of its data"),
        ({"provider": "image-folder"}, "data provider image-folder: expected the path of its data"),
        ({"test_share": 0.5}, "data provider sample takes no test share"),
        ({"provider": "image-batches", "batch_size": 5}, "data provider image-batches takes no batch size"),
        ({"provider": "image-batches", "image_size": 5}, "data provider image-batches takes no image size"),
        ({"provider": "image-batches", "test_share": 0.5}, "data provider image-batches takes no test share"),
        ({"provider": "image-batches"}, "data provider image-batches: expected the path of its data"),
        ({"provider": "dummy-3x8x8-2", "image_size": 5}, "data provider dummy-3x8x8-2 takes no image size"),
    ],
)
def test_options_that_do_not_go_together(options, text):
    with pytest.raises(ConvnetError, match=text):
        open_provider(ProviderOptions(**options))


def test_data_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    def too_large(*_):
        raise MemoryError("Unable to allocate 84.0 GiB")

    monkeypatch.setattr("convnet.data.npz._arrays", too_large)
    np.savez(tmp_path / "d.npz")
    with pytest.raises(ConvnetError, match=r"data does not fit into memory: Unable to allocate 84.0 GiB"):
        open_provider(ProviderOptions(path=tmp_path / "d.npz"))


def test_paths_that_are_not_data(tmp_path):
    with pytest.raises(ConvnetError, match=f"{tmp_path}/none: expected data, but there is no such file"):
        open_provider(ProviderOptions(path=tmp_path / "none"))
    file = tmp_path / "data.txt"
    file.write_text("text")
    with pytest.raises(ConvnetError, match=f"{file}: expected a folder, a tar or zip archive or a .npz file"):
        open_provider(ProviderOptions(path=file))
    with pytest.raises(ConvnetError, match=f"{tmp_path}: holds no images"):
        open_provider(ProviderOptions(path=tmp_path))
    with pytest.raises(ConvnetError, match="data provider sample: expected no path"):
        open_provider(ProviderOptions(path=tmp_path, provider="sample"))


@pytest.mark.parametrize("name", ["image-batches", "cifar", "idx", "npz", "image-folder"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_provider_given_something_else_says_so(tmp_path, name, kind):
    path = tmp_path / "data"
    path.write_text("text") if kind == "file" else path.mkdir()
    with pytest.raises(ConvnetError, match=str(path)):
        open_provider(ProviderOptions(path=path, provider=name))


def test_dummy_data():
    data = open_provider(ProviderOptions(provider="dummy-5x31x17-3", seed=2, batch_size=200))
    assert (data.train_batches, data.test_batches, data.num_classes) == ([1], [2], 3)
    assert data.shapes[0].maps == Maps(5, 31, 17)
    images, labels = data.get_batch(1, 1, train=True)
    assert images.shape == (200, 31, 17, 5)
    assert abs(images.mean()) < 5 / np.sqrt(images.size)
    assert abs(images.std() - 1) < 5 / np.sqrt(images.size)
    assert set(labels[:, 0]) == {0, 1, 2}
    again = open_provider(ProviderOptions(provider="dummy-5x31x17-3", seed=2, batch_size=200))
    np.testing.assert_array_equal(again.get_batch(1, 1, train=True)[0], images)
    other = open_provider(ProviderOptions(provider="dummy-5x31x17-3", seed=3, batch_size=200))
    assert not np.array_equal(other.get_batch(1, 1, train=True)[0], images)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, None),
        ({"input": Maps(3, 24, 32)}, (24, 32)),
        ({"crop": 224}, (256, 256)),
        ({"crop": 224, "input": Maps(3, 224, 224)}, (256, 256)),
        ({"crop": 24, "input": Maps(3, 32, 32)}, (32, 32)),
        ({"crop_border": 4, "input": Maps(3, 24, 24)}, (32, 32)),
        ({"crop": 24, "image_size": 40, "input": Maps(3, 32, 32)}, (40, 40)),
    ],
)
def test_what_size_images_are_brought_to(given, size):
    assert ProviderOptions(**given).source_size == size


@pytest.mark.parametrize("provider", [None, "image-batches"])
def test_batches_that_are_not_finished_are_told(tmp_path, provider):
    """One batch alone is not taken for a downloaded archive."""
    write_tar(tmp_path / "data_batch_1.tar", {"a/1.jpg": b"", "b/1.jpg": b""})
    with pytest.raises(ConvnetError, match=r"expected batches.json beside data_batch_1.tar, found no such file"):
        open_provider(ProviderOptions(path=tmp_path, provider=provider))
    (tmp_path / ".make").mkdir()
    (tmp_path / ".make" / "plan.json").write_text("{}")
    with pytest.raises(ConvnetError, match="convnet data make has not finished here; the same command goes on"):
        open_provider(ProviderOptions(path=tmp_path, provider=provider))


def test_a_batch_alone_is_no_archive_of_images(tmp_path):
    write_tar(tmp_path / "data_batch_1.tar", {"a/1.jpg": b"", "b/1.jpg": b""})
    with pytest.raises(ConvnetError) as caught:
        open_provider(ProviderOptions(path=tmp_path, provider="image-folder"))
    assert "1.jpg" not in str(caught.value)
