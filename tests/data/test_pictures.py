"""Pictures of cases as a net gets them, and of the statistics."""

import numpy as np
import pytest
from PIL import Image

from convnet.data import pictures
from convnet.data.pictures import columns, draw_sample, grid, save_picture, statistics_picture
from convnet.data.provider import ProviderOptions
from convnet.errors import ConvnetError
from convnet.pixels import Pixels
from convnet.shape import Maps, Shape

from .makers import random_images

IMAGES = random_images(30, 9, 11, 3, seed=4)
LABELS = np.arange(30) % 4


@pytest.fixture
def path(tmp_path):
    """24 training and 6 test cases."""
    file = tmp_path / "data.npz"
    np.savez(file, train_images=IMAGES[:24], train_labels=LABELS[:24], test_images=IMAGES[24:], test_labels=LABELS[24:])
    return file


def places(found, size, shift=False):
    """Which window of which image each of `found` is: (case, y, x, mirrored). shift: up to one colour, added to all."""
    y, x = size
    known = []
    for image in found:
        matches = []
        for case, whole in enumerate(IMAGES.astype(np.float64)):
            for top in range(9 - y + 1):
                for left in range(11 - x + 1):
                    window = whole[top : top + y, left : left + x]
                    for mirrored in (False, True):
                        difference = image - (window[:, ::-1] if mirrored else window)
                        if shift:
                            difference = difference - difference[0, 0]
                        if np.abs(difference).max() < 1e-3:
                            matches.append((case, top, left, mirrored))
        assert len(matches) == 1
        known += matches
    return known


def drawn(path, cases=12, *, test=False, **options):
    return draw_sample(ProviderOptions(path=path, **options), cases, test=test)


@pytest.mark.parametrize("options", [{}, {"scalar_mean": 33.5}])
def test_training_cases_are_cropped_and_mirrored(path, options):
    sample = drawn(path, crop=7, **options)
    assert sample.images.shape == (12, 7, 7, 3)
    found = places(sample.images, (7, 7))
    cases = [case for case, *_ in found]
    assert len(set(cases)) == 12
    assert max(cases) < 24
    assert sample.names == [[str(LABELS[case])] for case in cases]
    assert {mirrored for *_, mirrored in found} == {True, False}
    assert len({(top, left) for _, top, left, _ in found}) > 3
    assert cases != sorted(cases)
    np.testing.assert_array_equal(sample.images, drawn(path, crop=7, **options).images)
    assert cases != [case for case, *_ in places(drawn(path, crop=7, seed=1, **options).images, (7, 7))]


def test_colour_noise_is_shown(path):
    sample = drawn(path, crop=8, noise=0.2)
    found = places(sample.images, (8, 8), shift=True)
    shifts = [image[0, 0] - (IMAGES[case][top, left + 7 if mirrored else left]) for image, (case, top, left, mirrored)
              in zip(sample.images, found, strict=True)]  # fmt: skip
    assert np.abs(shifts).max() > 1
    assert len(np.unique(np.round(shifts, 3), axis=0)) == 12


def test_test_cases_are_seen_as_in_testing(path):
    sample = drawn(path, 100, test=True, crop_border=1, noise=0.2)
    found = places(sample.images, (7, 9))
    assert sorted(found) == [(case, 1, 1, False) for case in range(24, 30)]
    assert sample.names == [[str(LABELS[case])] for case, *_ in found]
    assert sample.description == "arrays in data.npz"


def test_batches_that_are_smaller_than_the_sample(path):
    sample = drawn(path, 20, batch_size=7)
    assert len(sample.images) == len({case for case, *_ in places(sample.images, (9, 11))}) == 20
    assert len(drawn(path, 100, batch_size=7).images) == 24


class Photographs:
    """A provider of Pixels that notes what is asked of it."""

    description, label_names = "photographs", ["a", "b", "c"]
    shapes = (Shape.of_maps(3, 2, 2), Shape(1), Shape(3))
    train_batches, test_batches = [5, 6], []

    def __init__(self, channels=3):
        self.asked, self.closed = [], False
        self.shapes = (Shape.of_maps(channels, 2, 2), *self.shapes[1:]) if channels else (Shape(12),)

    def open_batch(self, number, epoch, mini, *, train, shuffle, batch_range):
        self.asked.append((number, mini))
        assert (train, shuffle, batch_range) == (True, True, [5, 6])
        cases = min(mini, 3)
        values = np.full((cases, 2, 2, 3), 10 * number, np.uint8)
        matrix = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], np.float32)[:cases]
        yield [Pixels(values, np.full((cases, 3), 0.5, np.float32)), np.zeros((cases, 1), np.float32), matrix]
        raise AssertionError("nobody asked for more")

    def close(self):
        self.closed = True


def test_only_as_many_photographs_are_decoded_as_needed(monkeypatch):
    provider = Photographs()
    monkeypatch.setattr(pictures, "open_provider", lambda options: provider)
    sample = draw_sample(ProviderOptions(), 5)
    assert provider.asked == [(5, 5), (6, 2)]
    assert provider.closed
    assert sample.images[:, 0, 0, 0].tolist() == [50.5] * 3 + [60.5] * 2
    assert sample.names == [["a", "c"], [], ["b"], ["a", "c"], []]


@pytest.mark.parametrize(
    ("channels", "test", "message"),
    [
        (0, False, "photographs: expected images of 1 or 3 channels, found plain features"),
        (4, False, "photographs: expected images of 1 or 3 channels, found images of 4 channels"),
        (3, True, "photographs: the data has no batches to test on"),
    ],
)
def test_data_without_such_pictures(monkeypatch, channels, test, message):
    provider = Photographs(channels)
    monkeypatch.setattr(pictures, "open_provider", lambda options: provider)
    with pytest.raises(ConvnetError, match=message):
        draw_sample(ProviderOptions(), 5, test=test)
    assert provider.closed


def test_cases_without_label():
    assert pictures._names([None, np.array([[2.0], [-1.0], [0.0]])], ["a", "b", "c"]) == [["c"], [], ["a"]]


def test_a_grid_holds_every_image_in_order():
    images = random_images(5, 50, 30, 3)
    picture = np.asarray(grid(images.astype(np.float32)))
    assert columns(5) == 3
    assert picture.shape == (2 * 100 + 4, 3 * 60 + 2 * 4, 3)
    for case, image in enumerate(images):
        top, left = case // 3 * 104, case % 3 * 64
        np.testing.assert_array_equal(picture[top : top + 100 : 2, left : left + 60 : 2], image)
        np.testing.assert_array_equal(picture[top + 1 : top + 100 : 2, left + 1 : left + 60 : 2], image)
    assert (picture[104:, 124:] == 255).all()
    assert (picture[100:104] == 255).all()
    assert (picture[:100, 60:64] == 255).all()


def test_grey_values_and_those_that_cannot_be_shown():
    picture = np.asarray(grid(np.array([[[[-20.0], [99.6]], [[300.0], [7.4]]]])))
    assert picture.shape == (96, 96, 3)
    assert picture[::48, ::48].tolist() == [[[0] * 3, [100] * 3], [[255] * 3, [7] * 3]]


def test_the_picture_of_the_statistics():
    mean = np.random.default_rng(1).uniform(100, 110, (70, 50, 3))
    axes = np.array([[0, 0, 2.0], [20.0, 10.0, 0], [0, -5.0, 1.0]])
    picture = np.asarray(statistics_picture(mean, axes))
    np.testing.assert_array_equal(picture[:280:4, :200:4], np.rint(mean).astype(np.uint8))
    colour, side = mean.mean(axis=(0, 1)), (280 - 8) // 3
    for row, axis in enumerate((1, 2, 0)):
        for column, step in enumerate((-2, -1, 0, 1, 2)):
            top, left = row * (side + 4), 200 + 4 + column * (side + 4)
            swatch = picture[top : top + side, left : left + side]
            assert (swatch == np.rint(colour + step * axes[axis]).astype(np.uint8)).all()
    assert picture.shape == (280, 200 + 5 * (side + 4), 3)


def test_the_picture_of_the_mean_alone():
    mean = np.random.default_rng(2).uniform(0, 255, (1, 300, 1))
    picture = np.asarray(statistics_picture(mean, None))
    np.testing.assert_array_equal(picture, np.rint(mean).astype(np.uint8).repeat(3, axis=2))
    assert np.asarray(statistics_picture(mean.repeat(3, axis=2), np.eye(3))).shape == (32, 360, 3)
    with pytest.raises(ConvnetError, match=r"a picture of the mean, found means of \(12,\)"):
        statistics_picture(np.zeros(12), None)


def test_saving(tmp_path):
    image = Image.fromarray(random_images(1, 5, 6, 3)[0])
    file = tmp_path / "picture.png"
    file.write_bytes(b"old")
    save_picture(image, file)
    with Image.open(file) as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(image))
    (tmp_path / "folder.png").mkdir()
    for wrong in (tmp_path / "nowhere" / "x.png", tmp_path / "folder.png", file / "x.png"):
        with pytest.raises(ConvnetError, match=f"{wrong}: cannot be written: [A-Z]"):
            save_picture(image, wrong)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.png", "picture.png"]


def test_samples_of_other_providers():
    sample = draw_sample(ProviderOptions(input=Maps(1, 8, 8)), 3)
    assert sample.images.shape == (3, 8, 8, 1)
    assert sample.images.min() >= 0
    assert sample.images.max() > 200
