"""The published sets: what the table says, and that providers open what was fetched."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convnet.data.download import RemoteFile, Watcher
from convnet.data.idx import recognizes
from convnet.data.provider import ProviderOptions
from convnet.data.published import PUBLISHED, get_published
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError

from .file_server import Answer, serving
from .makers import python2_pickle, random_images, write_idx, write_tar

CASES = 11
IDX_NAMES = {f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")}


def write_mnist(folder):
    images, labels = random_images(2 * CASES, 28, 28, 1)[..., 0], np.arange(2 * CASES) % 10
    write_idx(folder, images[:CASES], labels[:CASES], images[CASES:], labels[CASES:], zipped=True)


def class_names(number):
    return [b"class %d" % n for n in range(number)]


def batch(labels):
    data = random_images(CASES, 32, 32, 3).reshape(CASES, -1)
    return python2_pickle({b"data": data, labels: [0, 1] * (CASES // 2) + [0] * (CASES % 2)})


def write_cifar10(folder):
    files = {"batches.meta": python2_pickle({b"label_names": class_names(10)}), "readme.html": b"<html>"}
    files |= {name: batch(b"labels") for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")}
    write_archive(folder / "cifar-10-python.tar.gz", "cifar-10-batches-py", files)


def write_cifar100(folder):
    files = {"meta": python2_pickle({b"fine_label_names": class_names(100), b"coarse_label_names": class_names(20)})}
    files |= {name: batch(b"fine_labels") for name in ("train", "test")}
    write_archive(folder / "cifar-100-python.tar.gz", "cifar-100-python", files)


def write_archive(path, folder, files):
    write_tar(path, {f"{folder}/{name}": content for name, content in files.items()}, [folder])


WRITERS = {"cifar10": write_cifar10, "cifar100": write_cifar100, "mnist": write_mnist, "fashion-mnist": write_mnist}


def small(name, folder):
    """A published set in small: the set, with the sizes and checksums of small files, and the files by name."""
    folder.mkdir()
    WRITERS[name](folder)
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    published = PUBLISHED[name]
    assert {file.name for file in published.files} == contents.keys()
    return replace(published, files=tuple(as_small(file, contents[file.name]) for file in published.files)), contents


def as_small(file, content):
    return replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_fetched_opens(tmp_path, name):
    published, contents = small(name, tmp_path / "made")
    folder = tmp_path / "fetched"
    with serving(contents) as server:
        fetched = get_published(published, folder, Watcher(), base=f"{server.address}/some/where/")
        assert get_published(published, folder, Watcher(), base=server.address) == []
    assert [file.name for file in fetched] == [file.name for file in published.files]
    assert {path for path, _ in server.asked} == {f"/some/where/{file}" for file in contents}
    assert {file.name for file in folder.iterdir()} == contents.keys()
    data = open_provider(ProviderOptions(path=published.data_path(folder)))
    assert str(data.shapes[0].maps) == ("1x28x28" if "mnist" in name else "3x32x32")
    train = {"cifar10": 5 * CASES}.get(name, CASES)
    assert data.num_classes == (100 if name == "cifar100" else 10)
    assert sum(data.cases(number) for number in data.train_batches) == train
    assert sum(data.cases(number) for number in data.test_batches) == CASES


def test_only_what_is_missing_is_fetched(tmp_path):
    published, contents = small("mnist", tmp_path / "made")
    folder = tmp_path / "fetched"
    with serving(contents) as server:
        get_published(published, folder, Watcher(), base=server.address)
        missing = published.files[2]
        (folder / missing.name).unlink()
        server.asked.clear()
        (fetched,) = get_published(published, folder, Watcher(), base=server.address)
    assert fetched.name == missing.name
    assert server.asked == [(f"/{missing.name}", None)]


def test_a_set_of_the_same_file_names_is_not_mixed_in(tmp_path):
    """Fashion-MNIST has the file names of MNIST."""
    published, contents = small("mnist", tmp_path / "made")
    with serving(contents) as server:
        get_published(published, tmp_path / "fetched", Watcher(), base=server.address)
        with pytest.raises(ConvnetError, match="expected the published file, 26,421,880 bytes"):
            get_published(PUBLISHED["fashion-mnist"], tmp_path / "fetched", Watcher(), base=server.address)


def test_files_before_one_that_fails_are_kept(tmp_path):
    published, contents = small("mnist", tmp_path / "made")
    with serving(contents) as server:
        server.answers = [Answer(), Answer(status=404)]
        with pytest.raises(ConvnetError, match=f"{re.escape(published.files[1].name)} cannot be fetched"):
            get_published(published, tmp_path, Watcher(), base=server.address)
        assert (tmp_path / published.files[0].name).read_bytes() == contents[published.files[0].name]
        assert len(get_published(published, tmp_path, Watcher(), base=server.address)) == 3


@pytest.mark.parametrize(
    "base", ["ftp://example.org", "file:///data", "/data", "example.org/mnist", "http:", "http://["]
)
def test_a_base_that_is_no_address(tmp_path, base):
    with pytest.raises(ConvnetError, match="expected an http or https address") as caught:
        get_published(PUBLISHED["mnist"], tmp_path / "new", Watcher(), base=base)
    assert base in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_is_sound(name):
    published = PUBLISHED[name]
    assert published.files
    for file in published.files:
        assert file.size > 4000
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.addresses
        assert all(re.fullmatch(rf"https?://[^/]+/(.*/)?{re.escape(file.name)}", address) for address in file.addresses)
    assert published.data in ("", published.files[0].name)
    assert published.size == sum(file.size for file in published.files)
    checksums = [file.sha256 for other in PUBLISHED.values() for file in other.files]
    assert len(set(checksums)) == len(checksums) == 10


# MiB, as cs.toronto.edu/~kriz/cifar.html says.
@pytest.mark.parametrize(("name", "size"), [("cifar10", 163), ("cifar100", 161)])
def test_sizes_are_those_of_the_authors_page(name, size):
    (file,) = PUBLISHED[name].files
    assert round(file.size / 2**20) == size


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_sets_have_their_four_files(name, tmp_path):
    assert {file.name for file in PUBLISHED[name].files} == IDX_NAMES
    for file in PUBLISHED[name].files:
        (tmp_path / file.name).touch()
    assert recognizes(Path(tmp_path))


def test_addresses_are_tried_in_order(tmp_path):
    content = b"content"
    with serving({"one": content}) as server:
        server.answers = [Answer(status=404)]
        addresses = (f"{server.address}/first/one", f"{server.address}/second/one")
        file = RemoteFile("one", len(content), hashlib.sha256(content).hexdigest(), addresses)
        assert get_published(replace(PUBLISHED["mnist"], files=(file,)), tmp_path, Watcher()) == [file]
    assert [path for path, _ in server.asked] == ["/first/one", "/second/one"]
