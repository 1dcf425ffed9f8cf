"""What the provider of data in memory does to images: mean, crops, flips, noise, order."""

import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import ProviderOptions
from convnet.errors import ConvnetError
from convnet.shape import Shape

from .makers import random_images

TRAIN, TEST = [30, 20, 7], [11]
CASES = sum(TRAIN) + sum(TEST)


def provider(channels=3, y=9, x=14, pixels=None, **options):
    pixels = random_images(CASES, y, x, channels) if pixels is None else pixels
    labels = np.arange(CASES) % 5
    images = ImageSet("test data", pixels, labels, list("abcde"), TRAIN, TEST)
    return MemoryProvider("test", images, ProviderOptions(**options))


def mean_by_loops(pixels):
    total = np.zeros(pixels.shape[1:])
    for case in range(sum(TRAIN)):
        total = total + pixels[case]
    return total / sum(TRAIN)


@pytest.mark.parametrize("batchnum", [1, 2, 3, 4])
def test_without_options_images_are_whole_and_the_mean_of_the_training_cases_is_subtracted(batchnum):
    pixels, data = random_images(CASES, 9, 14, 3), provider()
    images, labels = data.get_batch(batchnum, 1, train=True)
    start = sum([*TRAIN, *TEST][: batchnum - 1])
    cases = range(start, start + data.cases(batchnum))
    np.testing.assert_allclose(images, pixels[cases] - mean_by_loops(pixels), atol=1e-4)
    np.testing.assert_array_equal(labels[:, 0], np.array(cases) % 5)
    for matrix in (images, labels):
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous


def test_numbers_of_batches_and_cases():
    data = provider()
    assert (data.train_batches, data.test_batches) == ([1, 2, 3], [4])
    assert [data.cases(number) for number in (1, 2, 3, 4)] == [30, 20, 7, 11]
    assert data.shapes == [Shape.of_maps(3, 9, 14), Shape(1)]
    assert (data.num_classes, data.label_names) == (5, list("abcde"))
    assert data.describe() == "test data: 57 training and 11 test images of 3x9x14 in 5 classes"


@pytest.mark.parametrize("batchnum", [0, 5, -1])
def test_a_batch_that_is_not_there(batchnum):
    with pytest.raises(ConvnetError, match=f"test data: expected a batch from 1 to 4, found {batchnum}"):
        provider().get_batch(batchnum, 1, train=False)


@pytest.mark.parametrize(
    ("options", "size"),
    [({"crop": 6}, (6, 6)), ({"crop": 9}, (9, 9)), ({"crop_border": 2}, (5, 10)), ({"crop_border": 4}, (1, 6))],
)
def test_tests_see_the_centre(options, size):
    pixels, data = random_images(CASES, 9, 14, 3), provider(**options)
    assert data.shapes[0] == Shape.of_maps(3, *size)
    top, left = (9 - size[0]) // 2, (14 - size[1]) // 2
    window = np.s_[:, top : top + size[0], left : left + size[1]]
    expected = (pixels - mean_by_loops(pixels))[window][sum(TRAIN) :]
    np.testing.assert_allclose(data.get_batch(4, 1, train=False)[0], expected, atol=1e-4)


def placements(image, source, size):
    """All (top, left, mirrored) at which `image` is in `source`, tried one by one."""
    return [
        (top, left, mirrored)
        for top in range(source.shape[0] - size[0] + 1)
        for left in range(source.shape[1] - size[1] + 1)
        for mirrored in (False, True)
        if np.array_equal(image, source[top : top + size[0], left : left + size[1]][:, :: -1 if mirrored else 1])
    ]


@pytest.mark.parametrize(
    ("options", "size", "mirrors"),
    [
        ({"crop": 6}, (6, 6), {False, True}),
        ({"crop_border": 2}, (5, 10), {False, True}),
        ({"crop_border": 2, "flip": False}, (5, 10), {False}),
        ({"flip": True}, (9, 14), {False, True}),
        ({"crop": 9}, (9, 9), {False, True}),
    ],
)
def test_training_images_are_windows_of_their_source(options, size, mirrors):
    """Every image is one exact window; over the epochs all offsets and both directions come about equally often."""
    pixels, data = random_images(CASES, 9, 14, 3), provider(scalar_mean=0.0, **options)
    found = []
    for epoch in range(1, 21):
        images = data.get_batch(1, epoch, train=True)[0]
        for case, image in enumerate(images):
            (placement,) = placements(image, pixels[case], size)
            found.append(placement)
    for axis, room in ((0, 9 - size[0] + 1), (1, 14 - size[1] + 1)):
        counts = np.bincount([placement[axis] for placement in found], minlength=room)
        assert len(counts) == room
        assert np.all(np.abs(counts - 600 / room) < 5 * np.sqrt(600 / room))
    assert {mirrored for _, _, mirrored in found} == mirrors
    varying = [column for column in np.array(found, float).T if np.ptp(column)]
    if len(varying) > 1:  # y, x and direction are drawn independently of each other
        assert np.all(np.abs(np.corrcoef(varying) - np.eye(len(varying))) < 5 / np.sqrt(600))
    if len(mirrors) == 2:
        assert abs(np.mean([mirrored for _, _, mirrored in found]) - 0.5) < 5 * 0.5 / np.sqrt(600)


def test_scalar_mean():
    pixels, data = random_images(CASES, 9, 14, 3), provider(scalar_mean=12.5)
    np.testing.assert_array_equal(data.get_batch(2, 1, train=True)[0], pixels[30:50].astype(np.float64) - 12.5)


@pytest.mark.parametrize("options", [{}, {"crop": 6}, {"crop_border": 2}], ids=str)
def test_statistics_of_the_data_that_a_net_was_trained_with(options):
    """Other data with them: its images, minus the mean of the first data."""
    trained = provider(**options)
    pixels = random_images(CASES, 9, 14, 3, seed=8) // 2
    data = provider(pixels=pixels, **options)
    statistics = trained.statistics()
    assert list(statistics) == ["mean"]
    assert statistics["mean"].dtype == np.float32
    np.testing.assert_allclose(statistics["mean"], mean_by_loops(random_images(CASES, 9, 14, 3)), atol=1e-4)
    data.use_statistics(statistics)
    size = data.shapes[0].maps[1:]
    top, left = (9 - size[0]) // 2, (14 - size[1]) // 2
    expected = (pixels - statistics["mean"])[:, top : top + size[0], left : left + size[1]]
    np.testing.assert_allclose(data.get_batch(4, 1, train=False)[0], expected[sum(TRAIN) :], atol=1e-4)
    np.testing.assert_array_equal(data.statistics()["mean"], statistics["mean"])
    statistics["mean"] += 1  # what was handed out or taken in is a copy
    assert not np.any(data.statistics()["mean"] == statistics["mean"])
    assert not np.any(trained.statistics()["mean"] == statistics["mean"])


def test_colour_noise_of_the_data_that_a_net_was_trained_with():
    grey = np.repeat(random_images(CASES, 9, 14, 1), 3, axis=3)
    trained, data = provider(pixels=grey, noise=0.2), provider(noise=0.2)
    assert {name: array.shape for name, array in trained.statistics().items()} == {
        "mean": (9, 14, 3), "colour_axes": (3, 3)
    }  # fmt: skip
    plain = provider()
    data.use_statistics({"colour_axes": trained.statistics()["colour_axes"]})  # its own mean remains
    shift = (data.get_batch(1, 1, train=True)[0] - plain.get_batch(1, 1, train=True)[0])[:, 0, 0]
    assert np.abs(shift).max() > 10
    np.testing.assert_allclose(shift, shift[:, :1].repeat(3, axis=1), atol=0.01)  # grey data varies in brightness alone
    plain.use_statistics(trained.statistics())  # without noise there is no use for the axes
    assert list(plain.statistics()) == ["mean"]


def test_a_providers_own_statistics_change_nothing():
    data, again = provider(**AUGMENTED), provider(**AUGMENTED)
    again.use_statistics(data.statistics())
    again.use_statistics({})
    assert same(again.get_batch(1, 3, train=True), data.get_batch(1, 3, train=True))


def test_a_scalar_mean_goes_before_statistics():
    data = provider(scalar_mean=12.5)
    data.use_statistics({"mean": np.zeros((9, 14, 3), np.float32)})
    np.testing.assert_array_equal(data.get_batch(4, 1, train=False)[0], random_images(CASES, 9, 14, 3)[57:] - 12.5)


@pytest.mark.parametrize("shape", [(9, 13, 3), (9, 14), (9, 14, 1), (1, 14, 3), (378,), ()])
def test_statistics_of_another_shape(shape):
    data = provider(noise=0.1)
    before = data.get_batch(1, 1, train=True)
    values = {"colour_axes": np.ones((3, 3), np.float32), "mean": np.ones(shape, np.float32)}
    text = f"test data: expected the mean that the net .* {re.escape(str((9, 14, 3)))}; found {re.escape(str(shape))}"
    with pytest.raises(ConvnetError, match=text):
        data.use_statistics(values)
    assert same(data.get_batch(1, 1, train=True), before)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


AUGMENTED = {"crop_border": 2, "noise": 0.3, "seed": 5}


def test_a_batch_depends_on_seed_and_epoch_alone():
    data = provider(**AUGMENTED)
    calls = [(batch, epoch) for epoch in (1, 2, 3) for batch in (1, 2, 3)]
    first = [data.get_batch(*call, train=True) for call in calls]
    again = provider(**AUGMENTED)
    for call, expected in reversed(list(zip(calls, first, strict=True))):
        assert same(again.get_batch(*call, train=True), expected)
    with ThreadPoolExecutor(4) as threads:
        for expected, batch in zip(
            first * 3, threads.map(lambda c: data.get_batch(*c, train=True), calls * 3), strict=True
        ):
            assert same(batch, expected)
    assert not same(data.get_batch(1, 2, train=True), first[0])
    assert not same(provider(**{**AUGMENTED, "seed": 6}).get_batch(1, 1, train=True), first[0])
    assert not same(provider(**{**AUGMENTED, "seed": 5 + 2**32}).get_batch(1, 1, train=True), first[0])


def shuffled(data, epoch, batch_range):
    batches = [
        data.get_batch(number, epoch, train=True, shuffle=True, batch_range=batch_range) for number in batch_range
    ]
    assert [len(labels) for _, labels in batches] == [data.cases(number) for number in batch_range]
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])


@pytest.mark.parametrize("batch_range", [[1, 2, 3], [3, 1], [2]])
def test_shuffling_moves_cases_and_changes_nothing_else(batch_range):
    """The same cases, each augmented as it would be without shuffling, in another order every epoch."""
    data, orders = provider(**AUGMENTED), []
    for epoch in (1, 2):
        images, labels = shuffled(data, epoch, batch_range)
        plain = [data.get_batch(number, epoch, train=True) for number in batch_range]
        where = {image.tobytes(): case for case, image in enumerate(np.concatenate([batch[0] for batch in plain]))}
        order = [where[image.tobytes()] for image in images]
        assert sorted(order) == list(range(len(where)))
        assert order != sorted(order)
        np.testing.assert_array_equal(labels, np.concatenate([batch[1] for batch in plain])[order])
        orders.append(order)
    assert orders[0] != orders[1]


def test_noise_shifts_colours_along_their_principal_axes():
    """Shifts are the same for all pixels of an image; their covariance is that of the pixels times scale squared."""
    random = np.random.default_rng(3)
    mixing = random.normal(size=(3, 3))
    pixels = np.clip(random.normal(size=(CASES, 9, 14, 3)) @ mixing * 25 + 128, 0, 255).astype(np.uint8)
    plain, data = provider(pixels=pixels), provider(pixels=pixels, noise=0.1)
    shifts = []
    for epoch in range(400):
        difference = data.get_batch(1, epoch, train=True)[0] - plain.get_batch(1, epoch, train=True)[0]
        np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1, :1], difference.shape), atol=1e-4)
        shifts.append(difference[:, 0, 0])
    shifts = np.concatenate(shifts).astype(np.float64)
    expected = np.cov(pixels[: sum(TRAIN)].reshape(-1, 3).T.astype(np.float64), bias=True) * 0.1**2
    count = len(shifts)
    deviations = np.sqrt(np.diag(expected))
    assert np.all(np.abs(shifts.mean(axis=0)) < 5 * deviations / np.sqrt(count))
    # The covariance of n normal draws deviates from the true one by about the product of deviations / sqrt(n).
    assert np.all(np.abs(np.cov(shifts.T) - expected) < 8 * np.outer(deviations, deviations) / np.sqrt(count))
    normal = shifts @ np.linalg.inv(np.linalg.cholesky(expected)).T
    assert np.all(np.abs((normal**4).mean(axis=0) - 3) < 0.5)  # the fourth moment of a normal number
    assert same(data.get_batch(1, 1, train=False), plain.get_batch(1, 1, train=False))


def test_noise_of_zero_is_none():
    assert same(provider(noise=0.0).get_batch(1, 1, train=True), provider().get_batch(1, 1, train=True))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"crop": 10}, "crop 10 does not fit into images of 9x14 pixels"),
        ({"crop_border": 5}, "crop border 5 does not fit into images of 9x14 pixels"),
        ({"channels": 1, "noise": 0.1}, "expected images of 3 channels for colour noise"),
    ],
)
def test_options_that_do_not_fit_the_images(options, text):
    with pytest.raises(ConvnetError, match=f"test data: {text}"):
        provider(**options)


def test_plain_features():
    features = np.random.default_rng(0).normal(size=(CASES, 13)).astype(np.float32)
    data = provider(pixels=features)
    assert data.shapes == [Shape(13), Shape(1)]
    expected = features[30:50] - features[: sum(TRAIN)].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(data.get_batch(2, 1, train=True)[0], expected, atol=1e-6)
    assert "11 test cases of 13 features" in data.describe()
    data.use_statistics({"mean": np.full(13, 0.5, np.float32)})
    np.testing.assert_array_equal(data.get_batch(2, 1, train=True)[0], features[30:50] - np.float32(0.5))
    for options in ({"crop": 3}, {"crop_border": 1}, {"flip": True}):
        with pytest.raises(ConvnetError, match="expected images to crop or flip, found plain features"):
            provider(pixels=features, **options)
    with pytest.raises(ConvnetError, match="expected images of 3 channels"):
        provider(pixels=features, noise=0.1)


def test_batch_sizes():
    assert batch_sizes(25_000, 3072, None) == [10_000, 10_000, 5_000]
    assert batch_sizes(25, 3072, 10) == [10, 10, 5]
    assert batch_sizes(20, 3072, 10) == [10, 10]
    assert batch_sizes(1000, 150_528, None) == [445, 445, 110]  # 445 * 150528 * 4 bytes are just below 256 MiB
    assert batch_sizes(0, 10, None) == []


def views_by_slices(images, size):
    y, x = images.shape[1] - size[0], images.shape[2] - size[1]
    corners = [(0, 0), (0, x), (y // 2, x // 2), (y, 0), (y, x)]
    plain = [images[:, top : top + size[0], left : left + size[1]] for top, left in corners]
    return [*plain, *(view[:, :, ::-1] for view in plain)]


@pytest.mark.parametrize(("options", "size"), [({"crop": 6}, (6, 6)), ({"crop_border": 2}, (5, 10))])
def test_ten_views(options, size):
    """They are windows of the images without their mean, which is that of the centre for all of them."""
    pixels, data = random_images(CASES, 9, 14, 3), provider(**options)
    mean = views_by_slices(mean_by_loops(pixels)[None], size)[2]
    expected = [view - mean for view in views_by_slices(pixels[57:].astype(np.float64), size)]
    for view in range(10):
        images, labels = data.get_batch(4, 1, train=False, view=view)
        np.testing.assert_allclose(images, expected[view], atol=1e-4)
        np.testing.assert_array_equal(labels[:, 0], np.arange(57, CASES) % 5)
        assert (images.dtype, images.flags.c_contiguous) == (np.float32, True)
    assert same(data.get_batch(4, 1, train=False, view=2), data.get_batch(4, 1, train=False))
    minibatches = list(data.open_batch(4, 1, 4, train=False, first=1, multiview=True))
    assert len(minibatches) == 30
    for index, (images, labels) in enumerate(minibatches):
        part = slice(1 + index // 10 * 4, 5 + index // 10 * 4)
        np.testing.assert_allclose(images, expected[index % 10][part], atol=1e-4)
        np.testing.assert_array_equal(labels[:, 0], (np.arange(57, CASES) % 5)[part])


@pytest.mark.parametrize("options", [{}, {"flip": True}])
def test_views_need_a_crop(options):
    data, text = provider(**options), "test data: expected a crop .* for views of images, found none"
    with pytest.raises(ConvnetError, match=text):
        data.get_batch(4, 1, train=False, view=0)
    with pytest.raises(ConvnetError, match=text):
        data.open_batch(4, 1, 4, train=False, multiview=True)


def test_views_are_cut_for_a_minibatch_at_a_time():
    pixels = random_images(400, 32, 32, 3)
    images = ImageSet("d", pixels, np.zeros(400, int), ["a"], [], [400], mean=np.zeros((32, 32, 3)))
    data = MemoryProvider("d", images, ProviderOptions(crop=28))
    tracemalloc.start()
    try:
        for minibatch in data.open_batch(1, 1, 10, train=False, multiview=True):
            assert minibatch[0].shape == (10, 28, 28, 3)
        assert tracemalloc.get_traced_memory()[1] < 400 * 28 * 28 * 3 * 4 / 2  # half of one view of the whole batch
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shuffle", [False, True])
def test_minibatches(shuffle):
    data = provider(**AUGMENTED)
    more = {"train": True, "shuffle": shuffle, "batch_range": [2, 1]}
    whole = data.get_batch(1, 3, **more)
    parts = list(data.open_batch(1, 3, 8, first=3, **more))
    assert [len(labels) for _, labels in parts] == [8, 8, 8, 3]
    assert same([np.concatenate(column) for column in zip(*parts, strict=True)], [matrix[3:] for matrix in whole])
