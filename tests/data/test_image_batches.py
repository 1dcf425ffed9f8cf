"""What the provider of photographs feeds, beside Pillow's pixels cut by plain slices."""

import re
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convnet.data import augment, image_reader, open_provider
from convnet.data.image_batches import ImageProvider
from convnet.data.image_source import is_image_source, open_image_source
from convnet.data.memory import ImageSet, MemoryProvider
from convnet.data.provider import ProviderOptions
from convnet.errors import ConvnetError
from convnet.pixels import Pixels
from convnet.shape import Shape

from .stored_images import convnet2_folder, decoded, jpeg, picture, shards_folder, stored

SIDE, CROP, SEED = 22, 13, 2**33 + 5
AXES = np.array([[9.0, 8, 7], [-3, 1, 2], [0.5, -1, 0.4]])
SIZES = [11, 6, 3, 5]  # of the batches; the last is for testing
STARTS = dict(enumerate(np.cumsum([0, *SIZES]).tolist(), 1))
SHAPES = [(SIDE, 29), (35, SIDE), (SIDE, SIDE), (SIDE, 23)]
AUGMENTED = {"crop": CROP, "noise": 0.1, "seed": SEED}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    shapes = [[SHAPES[(case + number) % 4] for case in range(size)] for number, size in enumerate(SIZES)]
    return stored(tmp_path_factory.mktemp("stored"), shapes, SIDE, colour_axes=AXES)


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    shapes = [[(SIDE, SIDE)] * size for size in SIZES]
    return stored(tmp_path_factory.mktemp("squares"), shapes, SIDE, colour_axes=AXES)


@pytest.fixture(scope="module")
def opened():
    """Opens providers, and closes them in the end; the same options give the same provider."""
    providers = {}

    def open_one(source, **options):
        key = source, *options.items()
        if key not in providers:
            providers[key] = ImageProvider(source, ProviderOptions(**{"workers": 2, **options}))
        return providers[key]

    yield open_one
    for provider in providers.values():
        provider.close()


def words(stream, epoch, case):
    return [int(word) for word in augment.draw(SEED, stream, epoch, np.array([case]))[0]]


def crop(pictures, case, epoch, size=CROP):
    """A training image, all numbers being Python's."""
    image, drawn = pictures[case], words(augment.GEOMETRY, epoch, case)
    top, left = (drawn[0] * (image.shape[0] - size + 1)) >> 32, (drawn[1] * (image.shape[1] - size + 1)) >> 32
    cut = image[top : top + size, left : left + size]
    return cut[:, ::-1] if drawn[2] >= 2**31 else cut


def centre(image, size=CROP):
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


def copies(reader):
    """All minibatches, copied, because each stays as it is only until the next one."""
    return [[Pixels(images.values.copy(), images.shifts), *others] for images, *others in reader]


def joined(minibatches):
    pixels = np.concatenate([minibatch[0].values for minibatch in minibatches])
    return [pixels, *(np.concatenate(column) for column in zip(*(m[1:] for m in minibatches), strict=True))]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("batchnum", [1, 2, 3])
def test_training_images_are_windows_drawn_by_seed_epoch_and_case(source, opened, workers, batchnum):
    data, pictures = opened(source, workers=workers, **AUGMENTED), source.pictures
    mirrored = set()
    for epoch in (1, 2):
        minibatches = copies(data.open_batch(batchnum, epoch, 4, train=True))
        size, start = SIZES[batchnum - 1], STARTS[batchnum]
        assert [len(labels) for _, labels in minibatches] == [min(4, size - first) for first in range(0, size, 4)]
        pixels, labels = joined(minibatches)
        cases = range(start, start + size)
        np.testing.assert_array_equal(pixels, [crop(pictures, case, epoch) for case in cases])
        assert (pixels.dtype, labels.dtype) == (np.uint8, np.float32)
        np.testing.assert_array_equal(labels[:, 0], [(5 * (batchnum - 1) + case) % 7 for case in range(size)])
        drawn = augment.draw(SEED, augment.NOISE, epoch, np.array(cases))
        shifts = np.concatenate([minibatch[0].shifts for minibatch in minibatches])
        assert shifts.dtype == np.float32
        np.testing.assert_allclose(shifts, augment.normals(drawn)[:, :3] @ (AXES * 0.1), rtol=1e-5)
        mirrored |= {words(augment.GEOMETRY, epoch, case)[2] >= 2**31 for case in cases}
    assert mirrored == {False, True}


@pytest.mark.parametrize("multiview", [False, True])
def test_a_minibatch_stays_until_the_next_one_is_asked_for(source, opened, monkeypatch, multiview):
    """With memory for three minibatches of eleven, and time for the processes to do what they should not."""
    monkeypatch.setattr(image_reader, "_AHEAD_CASES", 1)
    data, pictures = opened(source, **AUGMENTED), source.pictures
    reader = data.open_batch(1, 1, 1, train=not multiview, multiview=multiview)
    assert reader._slots == 3
    for case in range(11):
        expected = views_by_slices(pictures[case], CROP) if multiview else [crop(pictures, case, 1)]
        for image in expected:
            images, labels = next(reader)
            time.sleep(0.02)
            np.testing.assert_array_equal(images.values, image[None])
            assert labels[0, 0] == case % 7
    assert list(reader) == []


@pytest.mark.parametrize("size", [1, 10, 16, 20, 22])
def test_windows_of_other_sizes(source, opened, size):
    """Rows of 3, 30, 48, 60 and 66 bytes, which are mirrored 1, 2, 8, 4 and 2 at once."""
    data, pictures = opened(source, workers=1, crop=size, seed=SEED), source.pictures
    pixels, _ = joined(copies(data.open_batch(1, 1, 11, train=True)))
    np.testing.assert_array_equal(pixels, [crop(pictures, case, 1, size) for case in range(11)])


def test_numbers_of_batches_and_cases(source, opened):
    data = opened(source, **AUGMENTED)
    assert (data.name, data.train_batches, data.test_batches) == ("stored", [1, 2, 3], [4])
    assert [data.cases(number) for number in (1, 2, 3, 4)] == SIZES
    assert data.shapes == [Shape.of_maps(3, CROP, CROP), Shape(1)]
    assert data.describe() == "stored images: 20 training and 5 test images of 3x13x13 in 7 classes"
    with pytest.raises(ConvnetError, match="stored images: expected one of its 4 batches, 1 to 4, found 5"):
        data.cases(5)
    with pytest.raises(ConvnetError, match="found 0"):
        data.open_batch(0, 1, 4, train=True)


@pytest.mark.parametrize(("first", "mini"), [(0, 1), (0, 100), (3, 4), (5, 2), (10, 4), (11, 4)])
def test_minibatches_from_any_case_on(source, opened, first, mini):
    data = opened(source, **AUGMENTED)
    whole = joined(copies(data.open_batch(1, 1, 11, train=True)))
    parts = copies(data.open_batch(1, 1, mini, train=True, first=first))
    sizes = [min(mini, 11 - start) for start in range(first, 11, mini)]
    assert [len(labels) for _, labels in parts] == sizes
    if sizes:
        for part, expected in zip(joined(parts), whole, strict=True):
            np.testing.assert_array_equal(part, expected[first:])


def test_tests_see_the_centre(source, opened):
    data = opened(source, **AUGMENTED)
    minibatches = copies(data.open_batch(4, 1, 2, train=False))
    expected = [centre(image) for image in source.pictures[STARTS[4] :]]
    np.testing.assert_array_equal(joined(minibatches)[0], expected)
    assert all(images.shifts is None for images, _ in minibatches)
    mean = centre(source.mean)
    np.testing.assert_array_equal(data.subtracted, mean)
    np.testing.assert_array_equal(data.get_batch(4, 1, train=False)[0], np.subtract(expected, mean, dtype=np.float32))


@pytest.mark.parametrize("batch_range", [[1, 2, 3], [3, 1]])
@pytest.mark.parametrize("options", [AUGMENTED, {"crop_border": 3, "flip": False}, {"flip": True}, {"noise": 0.5}])
def test_batches_are_those_of_images_in_memory(squares, opened, options, batch_range):
    """Square images, in memory and here: all that is drawn, the order too, is the same."""
    labels = [label for batch in squares.labels.values() for (label,) in batch]
    images = ImageSet("m", np.stack(squares.pictures), np.array(labels), list("abcdefg"), SIZES[:3], SIZES[3:],
                      mean=squares.mean)  # fmt: skip
    memory, data = MemoryProvider("m", images, ProviderOptions(**options)), opened(squares, **options)
    if "noise" in options:
        memory.use_statistics({"colour_axes": AXES})
    calls = [(number, epoch, {"train": True, "shuffle": shuffle, "batch_range": batch_range})
             for number in batch_range for epoch in (1, 2) for shuffle in (False, True)]  # fmt: skip
    for number, epoch, more in [*calls, (4, 1, {"train": False})]:
        for found, expected in zip(data.get_batch(number, epoch, **more), memory.get_batch(number, epoch, **more),
                                   strict=True):  # fmt: skip
            assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
            np.testing.assert_array_equal(found, expected)


def test_shuffling_moves_cases_of_all_batches_and_changes_nothing_else(source, opened):
    data, batch_range = opened(source, **AUGMENTED), [2, 1]
    plain = np.concatenate([data.get_batch(number, 1, train=True)[0] for number in batch_range])
    where = {image.tobytes(): case for case, image in enumerate(plain)}
    orders = []
    for mini in (4, 5):
        mixed = [copies(data.open_batch(number, 1, mini, train=True, shuffle=True, batch_range=batch_range))
                 for number in batch_range]  # fmt: skip
        assert [sum(len(labels) for _, labels in batch) for batch in mixed] == [6, 11]
        images = np.concatenate([images.normalized(data.subtracted) for batch in mixed for images, _ in batch])
        orders.append([where[image.tobytes()] for image in images])
    assert sorted(orders[0]) == list(range(17))
    assert orders[0] != sorted(orders[0])
    assert orders[0] == orders[1]


def views_by_slices(image, size):
    y, x = image.shape[0] - size, image.shape[1] - size
    corners = [(0, 0), (0, x), (y // 2, x // 2), (y, 0), (y, x)]
    plain = [image[top : top + size, left : left + size] for top, left in corners]
    return [*plain, *(view[:, ::-1] for view in plain)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_ten_views(source, opened, workers):
    data = opened(source, workers=workers, **AUGMENTED)
    expected = np.array([views_by_slices(image, CROP) for image in source.pictures[STARTS[4] :]])
    found = copies(data.open_batch(4, 1, 2, train=False, multiview=True))
    assert len(found) == 30
    assert all(images.values.flags.c_contiguous for images, _ in found)
    for index, (images, labels) in enumerate(found):
        part = slice(index // 10 * 2, index // 10 * 2 + 2)
        np.testing.assert_array_equal(images.values, expected[part, index % 10])
        np.testing.assert_array_equal(labels[:, 0], [(15 + case) % 7 for case in range(5)][part])
    for view in range(10):
        batch = data.get_batch(4, 1, train=False, view=view)[0]
        np.testing.assert_array_equal(batch, np.subtract(expected[:, view], data.subtracted, dtype=np.float32))


def test_views_need_a_crop(squares, opened):
    data = opened(squares, noise=0.5)
    for call in (lambda: data.get_batch(4, 1, train=False, view=0),
                 lambda: data.open_batch(4, 1, 2, train=False, multiview=True)):  # fmt: skip
        with pytest.raises(ConvnetError, match=r"stored images: expected a crop \(--crop or --crop-border\) for views"):
            call()


def test_images_of_several_sizes_need_a_crop(source, opened):
    data = opened(source)
    text = r"data_batch_1.0: case 0 of the data batch: expected an image of 22x22 pixels, found 22x29; .*\(--crop\)"
    with pytest.raises(ConvnetError, match=text):
        data.get_batch(1, 1, train=True)


def test_an_image_that_is_smaller_than_the_crop(tmp_path, opened):
    data = opened(stored(tmp_path, [[(22, 22), (22, 12)], [(22, 22)]], 22), crop=13)
    text = re.escape(f"{tmp_path}/data_batch_1.1: case 1 of the data batch: expected an image of at least 13x13 pixels")
    with pytest.raises(ConvnetError, match=text + ", found 22x12"):
        data.get_batch(1, 1, train=True)


def test_several_labels(tmp_path, opened):
    labels = [[(2, 5), (), (0,), (1, 3, 6)] * 20, [(4, 2), ()]]
    source = stored(tmp_path, [[(22, 22)] * 80, [(22, 22)] * 2], 22, labels=labels, several_labels=True)
    data = opened(source, crop=21, seed=SEED)
    assert data.shapes == [Shape.of_maps(3, 21, 21), Shape(1), Shape(7)]
    seen = [set() for _ in range(4)]
    for epoch in (1, 2, 3):
        _, chosen, matrix = joined(copies(data.open_batch(1, epoch, 30, train=True)))
        assert (chosen.shape, matrix.shape, matrix.dtype) == ((80, 1), (80, 7), np.float32)
        np.testing.assert_array_equal(matrix, [[float(name in case) for name in range(7)] for case in labels[0]])
        for case, label in enumerate(chosen[:, 0]):
            seen[case % 4].add(int(label))
            assert int(label) == -1 or int(label) == labels[0][case][
                words(augment.LABEL, epoch, case)[0] * len(labels[0][case]) >> 32
            ]  # fmt: skip
    assert seen == [{2, 5}, {-1}, {0}, {1, 3, 6}]
    _, first, matrix = data.get_batch(2, 1, train=False)
    np.testing.assert_array_equal(first, [[4], [-1]])
    np.testing.assert_array_equal(matrix, [[0, 0, 1, 0, 1, 0, 0], [0] * 7])


def test_noise_needs_axes(tmp_path, opened):
    with pytest.raises(ConvnetError, match="stored images: expected the axes of its colours for colour noise"):
        opened(stored(tmp_path, [[(22, 22)], [(22, 22)]], 22), crop=13, noise=0.1)


@pytest.mark.parametrize(("options", "text"), [({"crop": 23}, "crop 23"), ({"crop_border": 11}, "crop border 11")])
def test_crops_that_do_not_fit(source, opened, options, text):
    with pytest.raises(ConvnetError, match=f"stored images: {text} does not fit into images of 22x22 pixels"):
        opened(source, **options)


def test_statistics(source, opened):
    data = opened(source, crop=13, noise=0.25)
    own = data.statistics()
    assert {name: (array.shape, array.dtype) for name, array in own.items()} == {
        "mean": ((22, 22, 3), np.float32), "colour_axes": ((3, 3), np.float32)
    }  # fmt: skip
    other = np.random.default_rng(1).uniform(0, 255, (22, 22, 3)).astype(np.float32)
    data.use_statistics({"mean": other, "colour_axes": -2 * AXES})
    (images, _), *_ = data.open_batch(1, 1, 11, train=True)
    np.testing.assert_array_equal(data.subtracted, centre(other))
    drawn = augment.normals(augment.draw(0, augment.NOISE, 1, np.arange(11)))[:, :3]
    np.testing.assert_allclose(images.shifts, drawn @ (AXES * -0.5), rtol=1e-5)
    with pytest.raises(ConvnetError, match=r"expected the mean .* \(22, 22, 3\); found \(13, 13, 3\)"):
        data.use_statistics({"mean": centre(other)})
    assert not np.array_equal(own["mean"], data.statistics()["mean"])


def test_scalar_mean(source, opened):
    data = opened(source, crop=13, scalar_mean=12.5)
    assert (data.subtracted.shape, float(data.subtracted)) == ((), 12.5)
    expected = np.array([centre(image) for image in source.pictures[STARTS[4] :]]) - 12.5
    np.testing.assert_array_equal(data.get_batch(4, 1, train=False)[0], expected)


def test_batches_at_the_same_time(source, opened):
    """A training batch is opened in another thread and half read, while the test batch is read."""
    data = opened(source, **AUGMENTED)
    expected = [data.get_batch(1, epoch, train=True) for epoch in range(8)], data.get_batch(4, 1, train=False)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(data.open_batch, 1, epoch, 2, train=True) for epoch in range(8)]
        readers = [one.result() for one in waiting]
        found = [[] for _ in readers]
        for _ in range(6):
            for reader, parts in zip(readers, found, strict=True):
                parts.append(next(reader)[0].normalized(data.subtracted))
            np.testing.assert_array_equal(data.get_batch(4, 1, train=False)[0], expected[1][0])
        batches = list(threads.map(lambda epoch: data.get_batch(1, epoch, train=True), range(8)))
    for parts, batch, (images, _) in zip(found, batches, expected[0], strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), images)
        np.testing.assert_array_equal(batch[0], images)


def test_a_minibatch_stays_when_its_reader_is_gone(source, opened):
    data = opened(source, **AUGMENTED)
    images, _ = next(data.open_batch(1, 1, 4, train=True))
    before = images.values.copy()
    for epoch in range(2, 12):
        data.get_batch(2, epoch, train=True)
    np.testing.assert_array_equal(images.values, before)


def test_records_are_read_once(squares, opened):
    data = opened(squares, workers=1, seed=1)
    squares.reads.clear()
    for epoch in (1, 2):
        data.get_batch(3, epoch, train=True, shuffle=True, batch_range=[1, 3])
    assert squares.reads == [1, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_image_is_told_and_others_are_not_lost(tmp_path, opened, workers):
    source = stored(tmp_path, [[(22, 22)] * 9, [(22, 22)] * 3], 22)
    for case in (4, 6):
        content = source.contents[1][case]
        file = source.path(1, 0)
        file.write_bytes(file.read_bytes().replace(content, content[:-60] + b"-" * 60))
    data = opened(source, crop=13, workers=workers)
    reader = data.open_batch(1, 1, 2, train=True)
    assert len(next(reader)[1]) == 2
    next(reader)
    text = re.escape(f"{tmp_path}/data_batch_1.0: case 4 of the data batch: expected a JPEG, but it cannot be decoded")
    for _ in range(2):
        with pytest.raises(ConvnetError, match=text):
            next(reader)
    with pytest.raises(ConvnetError, match=text):  # and not case 6, which another process may be done with earlier
        data.get_batch(1, 1, train=True)
    np.testing.assert_array_equal(
        data.get_batch(2, 1, train=False)[0], [np.subtract(centre(image), data.subtracted, dtype=np.float32)
                                               for image in source.pictures[9:]])  # fmt: skip


def test_files_that_are_cut_off_or_gone(tmp_path, opened):
    source = stored(tmp_path, [[(22, 22)] * 4, [(22, 22)]], 22)
    file = source.path(1, 1)
    file.write_bytes(file.read_bytes()[:-100])
    source.path(2, 0).unlink()
    data = opened(source, crop=13)
    with pytest.raises(ConvnetError, match=re.escape(f"{file}: case 3 of the data batch: expected a JPEG")):
        data.get_batch(1, 1, train=True)
    with pytest.raises(ConvnetError, match=r"data_batch_2.0: case 0 of the data batch: cannot be read: No such file"):
        data.get_batch(2, 1, train=False)


@pytest.mark.parametrize(("write", "numbers"), [(shards_folder, (1, 2)), (convnet2_folder, (0, 1000))])
def test_folders_of_batches(tmp_path, write, numbers):
    """Each form is recognized, and its images come as Pillow reads them."""
    pictures = [picture(*SHAPES[case % 4], case) for case in range(9)]
    write(tmp_path, pictures, SIDE)
    data = open_provider(ProviderOptions(path=tmp_path, crop=CROP, noise=0.1, seed=SEED, workers=2))
    try:
        assert (data.train_batches, data.test_batches) == ([numbers[0]], [numbers[1]])
        assert data.label_names == ["a", "b", "c"]
        images = [decoded(jpeg(image)) for image in pictures]
        pixels, labels = joined(copies(data.open_batch(numbers[0], 1, 3, train=True)))
        np.testing.assert_array_equal(pixels, [crop(images, case, 1) for case in range(7)])
        np.testing.assert_array_equal(labels[:, 0], np.arange(7) % 3)
        pixels, labels = data.get_batch(numbers[1], 1, train=False)
        np.testing.assert_array_equal(pixels, np.array([centre(image) for image in images[7:]]) - 99.0)
        np.testing.assert_array_equal(labels[:, 0], [1, 2])
    finally:
        data.close()


def test_a_closed_reader_gives_nothing_and_keeps_nothing(source, opened):
    data = opened(source, **AUGMENTED)
    reader = data.open_batch(1, 1, 2, train=True)
    images, _ = next(reader)
    before = images.values.copy()
    memory = weakref.ref(images.values)
    reader.close()
    assert list(reader) == []
    data.get_batch(1, 2, train=True)
    np.testing.assert_array_equal(images.values, before)
    del images
    assert memory() is None
    reader.close()


def test_what_is_told_of_sizes_counts_when_data_is_opened(tmp_path):
    """Shards know the sizes of their images: some that are no squares need a crop, before any is decoded."""
    shards_folder(tmp_path, [picture(SIDE, 29 if case == 3 else SIDE, case) for case in range(9)], SIDE)
    text = f"photographs: expected images of {SIDE}x{SIDE} pixels, found several sizes; squares can be cut from them"
    with pytest.raises(ConvnetError, match=rf"^{text} \(--crop\)$"):
        open_provider(ProviderOptions(path=tmp_path))
    for crop in ({"crop": SIDE}, {"crop_border": 1}):
        assert open_provider(ProviderOptions(path=tmp_path, **crop)).cases(1) == 7


@pytest.mark.parametrize(("write", "alike"), [(shards_folder, True), (convnet2_folder, None)])
def test_squares_need_no_crop(tmp_path, write, alike):
    write(tmp_path, [picture(SIDE, SIDE, case) for case in range(9)], SIDE)
    source = open_image_source(tmp_path)
    assert source.alike is alike
    provider = ImageProvider(source, ProviderOptions(workers=1))
    number = provider.train_batches[0]
    assert provider.get_batch(number, 1, train=False)[0].shape == (7, SIDE, SIDE, 3)
    provider.close()


def test_other_folders_are_no_source(tmp_path):
    assert not is_image_source(tmp_path)
    assert open_image_source(tmp_path) is None
