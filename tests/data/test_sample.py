"""The built-in sample."""

import numpy as np
import pytest
from PIL import Image

from convnet.data import ProviderOptions, open_provider
from convnet.data.sample_photographs import PHOTOGRAPHS, load, photograph_patches, split_photograph
from convnet.errors import ConvnetError
from convnet.shape import Maps

datasets = pytest.importorskip("sklearn.datasets")


def opened(**options):
    return open_provider(ProviderOptions(**options))


def test_digits_as_they_are():
    """Every image and label of scikit-learn's digits once, values scaled to 0..255, 1/6 of each digit for testing."""
    data = opened(scalar_mean=0.0)
    assert (data.name, data.sample, data.shapes[0].maps) == ("sample", True, Maps(1, 8, 8))
    assert data.describe().startswith("a built-in sample, handwritten digits")
    digits = datasets.load_digits()
    where = {}
    for image, label in zip(np.round(digits.images * 255 / 16), digits.target, strict=True):
        where.setdefault(image.tobytes(), []).append(label)
    (images, labels), (test_images, test_labels) = (data.get_batch(number, 1, train=False) for number in (1, 2))
    for image, label in zip(np.concatenate((images, test_images)), np.concatenate((labels, test_labels)), strict=True):
        where[image[..., 0].astype(np.float64).tobytes()].remove(label)
    assert not any(where.values())
    assert abs(len(test_labels) - 300) < 5
    counts = np.bincount(digits.target)
    assert np.all(np.abs(np.bincount(test_labels[:, 0].astype(int)) - counts / 6) <= 0.5)


def test_digits_scaled():
    data = opened(input=Maps(1, 28, 32), scalar_mean=0.0, crop_border=2)
    assert data.shapes[0].maps == Maps(1, 28, 32)
    large, small = data._images.pixels[..., 0], opened()._images.pixels[..., 0]
    assert large.shape[1:] == (32, 36)
    for case in (0, 700, 1796):
        whole = np.asarray(Image.fromarray(small[case]).resize((36, 32), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(large[case], whole)


@pytest.mark.parametrize("wanted", [Maps(2, 8, 8), Maps(4, 32, 32), Maps(1, 224, 224), Maps(1, 65, 8)])
def test_inputs_that_no_sample_fits(wanted):
    with pytest.raises(ConvnetError, match=f"no built-in sample for an input of {wanted}: .*--data"):
        opened(input=wanted)


def test_photographs():
    data = opened(input=Maps(3, 28, 28), crop=28)
    assert data._images.pixels.shape[1:] == (32, 32, 3)
    assert data.shapes[0].maps == Maps(3, 28, 28)
    assert (data.train_batches, data.test_batches, data.num_classes) == ([1, 2, 3, 4, 5, 6], [7], 8)
    for number in (1, 6, 7):
        images, labels = data.get_batch(number, 1, train=number != 7)
        assert len(images) == 256
        assert np.bincount(labels[:, 0].astype(int), minlength=8).min() >= 15  # every class in every batch
        assert images.std() > 40
    assert opened(input=Maps(3, 12, 20)).shapes[0].maps == Maps(3, 12, 20)
    assert opened(input=Maps(3, 28, 28), image_size=30).shapes[0].maps == Maps(3, 30, 30)


def test_patches_to_train_and_to_test_on_are_from_different_parts(monkeypatch):
    """With red for the left part of every photograph and blue for the right one, no patch is mixed."""
    shares = []

    def painted(photograph):
        image = np.zeros((*reversed(load(photograph).size), 3), np.uint8)
        border = split_photograph(load(photograph))[0].width
        shares.append(border / image.shape[1])
        image[:, :border] = (255, 0, 0)
        image[:, border:] = (0, 0, 255)
        return Image.fromarray(image)

    monkeypatch.setattr("convnet.data.sample_photographs.load", painted)
    pixels, labels = photograph_patches((9, 9))
    assert np.all(pixels[:1536] == (255, 0, 0))
    assert np.all(pixels[1536:] == (0, 0, 255))
    assert len(labels) == len(pixels) == 1536 + 256
    assert all(0.6 < share < 0.7 for share in shares)
    for part in (labels[:1536], labels[1536:]):
        assert len(set(np.bincount(part, minlength=8))) == 1


def test_patches_are_what_they_are_labelled():
    """The mean colour of a class's patches is near that of the part of the photograph they are from."""
    pixels, labels = photograph_patches((16, 16))
    for label, photograph in enumerate(PHOTOGRAPHS):
        for part, chosen in enumerate((slice(0, 1536), slice(1536, None))):
            whole = np.asarray(split_photograph(load(photograph))[part]).mean(axis=(0, 1))
            found = pixels[chosen][labels[chosen] == label].mean(axis=(0, 1, 2))
            assert np.abs(whole - found).max() < 40


def test_patches_are_the_same_every_time_and_differ_from_each_other():
    pixels, _ = photograph_patches((8, 8))
    np.testing.assert_array_equal(photograph_patches((8, 8))[0], pixels)
    assert len(np.unique(pixels.reshape(len(pixels), -1), axis=0)) == len(pixels)


def test_a_missing_photograph_is_named(monkeypatch, tmp_path):
    lost = PHOTOGRAPHS[0]._replace(file="data/lost.png")
    with pytest.raises(ConvnetError, match=r"skimage|sklearn"):
        load(lost._replace(package="skimage"))
    with pytest.raises(ConvnetError, match="come with scikit-image and scikit-learn"):
        load(lost._replace(package="no_such_package"))
