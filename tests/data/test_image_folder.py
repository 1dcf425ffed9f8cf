"""Folders and archives of images."""

import io

import numpy as np
import pytest
from PIL import Image

from convnet.data.provider import ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError
from convnet.shape import Maps

from .makers import image_files, png, random_images, write_folder, write_tar, write_zip

IMAGES = random_images(40, 6, 5, 3)
LABELS = np.arange(40) % 3
TRAIN = image_files(IMAGES[:28], LABELS[:28], "train/")
TEST = image_files(IMAGES[28:], LABELS[28:], "test/")
BOTH = {**TRAIN, **TEST}


def opened(path, **options):
    return open_provider(ProviderOptions(path=path, **options))


def pairs(data, batches):
    """{image bytes: label} of batches, the images as they are in the files."""
    found = {}
    for number in batches:
        images, labels = data.get_batch(number, 1, train=False)
        found |= {image.astype(np.uint8).tobytes(): int(label) for image, (label,) in zip(images, labels, strict=True)}
    return found


def expected_pairs(images, labels):
    return {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}


def under(top, files):
    return {f"{top}/{name}": content for name, content in files.items()}


def written(tmp_path, form, files):
    if form == "folder":
        return write_folder(tmp_path / "images", files)
    if form == "zip":
        return write_zip(tmp_path / "images.zip", files)
    return write_tar(tmp_path / f"images.{form}", files)


FORMS = ["folder", "zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("top", ["", "some folder", "outer/inner"])
def test_every_form_gives_the_images(tmp_path, form, top):
    files = under(top, BOTH) if top else BOTH
    data = opened(written(tmp_path, form, files), batch_size=10, scalar_mean=0.0)
    assert (data.name, data.label_names) == ("image-folder", ["a", "b", "c"])
    assert [data.cases(number) for number in data.train_batches] == [10, 10, 8]
    assert [data.cases(number) for number in data.test_batches] == [10, 2]
    assert data.shapes[0].maps == (3, 6, 5)
    assert pairs(data, data.train_batches) == expected_pairs(IMAGES[:28], LABELS[:28])
    assert pairs(data, data.test_batches) == expected_pairs(IMAGES[28:], LABELS[28:])
    assert len(set(data.get_batch(1, 1, train=True)[1][:, 0])) == 3  # not one class after the other


def test_the_order_is_the_same_in_every_form_and_for_every_seed(tmp_path):
    backwards = dict(reversed(BOTH.items()))
    paths = [written(tmp_path, "folder", BOTH), written(tmp_path, "zip", BOTH), written(tmp_path, "tar", backwards)]
    batches = [opened(path, seed=seed).get_batch(1, 1, train=False) for seed, path in enumerate(paths)]
    for images, labels in batches[1:]:
        np.testing.assert_array_equal(images, batches[0][0])
        np.testing.assert_array_equal(labels, batches[0][1])


@pytest.mark.parametrize(("train", "test"), [("train", "val"), ("Training", "Valid"), ("train", "validation")])
def test_other_names_of_the_sets(tmp_path, train, test):
    files = {name.replace("train/", train + "/").replace("test/", test + "/"): file for name, file in BOTH.items()}
    data = opened(write_folder(tmp_path, files), scalar_mean=0.0)
    assert pairs(data, data.test_batches) == expected_pairs(IMAGES[28:], LABELS[28:])


@pytest.mark.parametrize("top", ["", "top/"])
def test_test_goes_before_val_and_other_things_are_left_out(tmp_path, top):
    extra = ("preview.png", "val/a/x.png", "extra/d/y.png", "README.txt", "train/a/n.txt", "__MACOSX/train/a/._0.png",
             "train/a/.hidden.png", ".git/b/c.png")  # fmt: skip
    files = {top + name: content for name, content in {**BOTH, **dict.fromkeys(extra, b"no image")}.items()}
    data = opened(write_folder(tmp_path, files), scalar_mean=0.0)
    assert pairs(data, data.train_batches) == expected_pairs(IMAGES[:28], LABELS[:28])
    assert pairs(data, data.test_batches) == expected_pairs(IMAGES[28:], LABELS[28:])


@pytest.mark.parametrize(("share", "tested"), [(None, [2, 2, 2]), (0.5, [7, 6, 6])])
@pytest.mark.parametrize("prefix", ["", "top/", "train/", "top/train/"])
def test_a_share_of_each_class_is_tested(tmp_path, prefix, share, tested):
    path = write_folder(tmp_path, image_files(IMAGES, LABELS, prefix))
    data = opened(path, scalar_mean=0.0, test_share=share)
    train, test = pairs(data, data.train_batches), pairs(data, data.test_batches)
    assert {**train, **test} == expected_pairs(IMAGES, LABELS)
    assert len(train) + len(test) == 40
    assert np.bincount(list(test.values())).tolist() == tested


def test_grey_nets_get_grey_images(tmp_path):
    path = write_folder(tmp_path, BOTH)
    data = opened(path, input=Maps(1, 6, 5), scalar_mean=0.0)
    assert data.shapes[0].maps == (1, 6, 5)
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R 601, luma
    grey = np.sort((IMAGES[28:] @ weights).sum(axis=(1, 2)))
    found = np.sort(data.get_batch(data.test_batches[0], 1, train=False)[0].sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found, grey, atol=0.51 * 30)
    with pytest.raises(ConvnetError, match="as 1 or 3 channels, but the net's input has 4"):
        opened(path, input=Maps(4, 6, 5))


def test_grey_files_become_colour_images(tmp_path):
    files = image_files(random_images(6, 4, 4, 1), [0, 1] * 3)
    images = opened(write_folder(tmp_path, files), scalar_mean=0.0).get_batch(1, 1, train=False)[0]
    assert images.shape[1:] == (4, 4, 3)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def smooth(y, x):
    """An image whose red is its row and green its column, from 0 to 240: positions can be read from the colours."""
    image = np.zeros((y, x, 3), np.uint8)
    image[..., 0] = np.linspace(0, 240, y).astype(np.uint8)[:, None]
    image[..., 1] = np.linspace(0, 240, x).astype(np.uint8)
    return image


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"image_size": 16}, (16, 16)),
        ({"input": Maps(3, 16, 16)}, (16, 16)),
        ({"input": Maps(3, 12, 20)}, (12, 20)),
        ({"input": Maps(3, 12, 20), "crop_border": 2}, (16, 24)),
        ({"input": Maps(3, 14, 14), "crop": 14}, (16, 16)),
        ({"crop": 224}, (256, 256)),
    ],
)
def test_images_of_different_sizes_are_scaled_and_cut_around_the_middle(tmp_path, options, size):
    shapes = [(40, 60), (60, 40), (80, 80), (33, 50)]
    files = {f"{'ab'[case % 2]}/{case}.png": png(smooth(*shape)) for case, shape in enumerate(shapes)}
    data = opened(write_folder(tmp_path, files), scalar_mean=0.0, flip=False, test_share=0.01, **options)
    assert data._images.pixels.shape[1:] == (*size, 3)
    labels, spans = data._images.labels, []
    for image in data._images.pixels.astype(float):
        for channel, axis in ((0, 0), (1, 1)):
            profile = image[..., channel].mean(axis=1 - axis)
            assert abs(profile.mean() - 120) < 4  # around the middle
            assert np.all(np.diff(profile) >= -0.5)
        spans.append([np.ptp(image[..., 0]), np.ptp(image[..., 1])])
    assert sorted(labels) == [0, 0, 1, 1]
    assert all(max(span) > 210 for span in spans)  # one side is whole


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"input": Maps(3, 12, 12)}, (12, 12)),
        ({"image_size": 12}, (12, 12)),
        ({"input": Maps(3, 12, 10), "crop_border": 1}, (12, 10)),
        ({"crop": 7}, (7, 7)),
    ],
)
def test_images_of_one_size_are_scaled_too(tmp_path, options, size):
    assert opened(write_folder(tmp_path, BOTH), **options).shapes[0].maps == (3, *size)


@pytest.mark.parametrize("options", [{}, {"input": Maps(3, 6, 5)}, {"input": Maps(3, 4, 3), "crop_border": 1}], ids=str)
def test_images_of_the_size_asked_for_stay_as_they_are(tmp_path, options):
    """Also beside one of another size."""
    files = {**BOTH, "train/a/odd.png": png(random_images(1, 9, 9, 3)[0])} if options else BOTH
    data = opened(write_folder(tmp_path, files), flip=False, **options)
    found = {image.tobytes() for image in data._images.pixels}
    assert found >= {image.tobytes() for image in IMAGES}
    assert len(found) == len(files)


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
@pytest.mark.parametrize("top", ["", "top"])
def test_a_test_set_alone(tmp_path, form, top):
    """Nothing to train on; without training images the mean is zero."""
    files = {**TEST, "notes/readme.txt": b""}
    data = opened(written(tmp_path, form, under(top, files) if top else files), batch_size=5, noise=0.1)
    assert (data.train_batches, data.test_batches, data.label_names) == ([], [1, 2, 3], ["a", "b", "c"])
    assert pairs(data, data.test_batches) == expected_pairs(IMAGES[28:], LABELS[28:])
    assert "0 training and 12 test images of 3x6x5 in 3 classes" in data.describe()
    assert not data.statistics()["mean"].any()
    assert not data.statistics()["colour_axes"].any()
    data.use_statistics({"mean": np.full((6, 5, 3), 2.5, np.float32)})
    images = data.get_batch(3, 1, train=False)[0]
    assert {(image + 2.5).astype(np.uint8).tobytes() for image in images} <= {image.tobytes() for image in IMAGES[28:]}


def test_different_sizes_and_nothing_to_bring_them_to(tmp_path):
    path = write_folder(tmp_path, {**BOTH, "train/b/odd.png": png(IMAGES[0][:5])})
    text = r"images of one size.*--image-size or --input.*found .* of 5x[56] and .* of 5x[56]"
    with pytest.raises(ConvnetError, match=text):
        opened(path)


def sixteen_bit_files(form, values):
    """Pillow's modes for these: I;16, I;16B and I."""
    image = Image.fromarray(values.astype({"png": "<u2", "tiff, high byte first": ">u2", "tiff": "<i4"}[form]))
    stream = io.BytesIO()
    image.save(stream, form[:4].strip(","))
    return stream.getvalue(), image.mode


@pytest.mark.parametrize(
    ("form", "mode"), [("png", "I;16"), ("tiff", "I"), ("tiff, high byte first", "I;16B")], ids=str
)
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_images_of_16_bits_are_scaled_to_8(tmp_path, form, mode, channels):
    values = np.random.default_rng(0).integers(0, 65536, (7, 5))
    values[0] = [0, 128, 129, 65535, 257 * 200]
    content, found = sixteen_bit_files(form, values)
    assert found == mode
    suffix = form[:4].strip(",")
    path = write_folder(tmp_path, {f"{label}/{case}.{suffix}": content for label in "ab" for case in range(2)})
    pixels = opened(path, input=Maps(channels, 7, 5))._images.pixels
    assert pixels.shape == (4, 7, 5, channels)
    expected = np.floor(values / 257 + 0.5)
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected[..., None], pixels.shape))


def test_a_file_of_no_known_format(tmp_path):
    path = write_folder(tmp_path, {**BOTH, "train/b/broken.png": b"no image"})
    with pytest.raises(ConvnetError) as error:
        opened(path)
    message = f"{path}: train/b/broken.png: expected an image, but it cannot be decoded: the format is unknown"
    assert str(error.value) == message


def jpeg(image, quality=90):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "jpeg", quality=quality)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    "content",
    [
        jpeg(random_images(1, 40, 40, 3)[0])[:-600],
        png(random_images(1, 40, 40, 3)[0])[:-2000],
        png(IMAGES[0])[:60],
        b"",
        b"no image",
        b"GIF89a",
        b"BM" + bytes(50),
    ],
    ids=["jpeg", "png", "png header", "empty", "text", "gif", "bmp"],
)
def test_a_truncated_image_is_named(tmp_path, form, content):
    path = written(tmp_path, form, {**BOTH, "train/b/broken.png": content})
    with pytest.raises(ConvnetError, match=f"{path}: train/b/broken.png: expected an image, but it cannot be decoded"):
        opened(path, image_size=8)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "holds no images; expected train/<class>/<image>"),
        ({"train/a/readme.txt": b""}, "holds no images"),
        ({"x.png": b"", **image_files(IMAGES, LABELS)}, "x.png is not in a class folder; expected train/<class>"),
        ({**TRAIN, "train/x.png": b""}, "train/x.png is not in a class folder"),
        ({**TEST, "trian/a/0.png": b""}, "found test/ and trian/, but no train/ beside them"),
        ({**TRAIN, "test/a/0.png": b"", "test/b/0.png": b""}, "class folder test/c is missing"),
        ({**BOTH, "test/d/0.png": b""}, "class folder train/d is missing"),
        ({"a/0.png": b"", "a/1.png": b""}, "expected at least two class folders, found 1"),
        ({"train/a/0.png": b"", "test/a/1.png": b""}, "expected at least two class folders, found 1"),
    ],
)
def test_folders_that_are_not_as_expected(tmp_path, files, text):
    (tmp_path / "images").mkdir()
    path = write_folder(tmp_path / "images", files)
    with pytest.raises(ConvnetError, match=f"{path}: {text}"):
        opened(path)
    with pytest.raises(ConvnetError, match=f"images.zip: {text}"):
        opened(write_zip(tmp_path / "images.zip", files))


def test_an_empty_class_is_named(tmp_path):
    path = write_folder(tmp_path / "images", BOTH)
    (path / "train" / "d").mkdir()
    archive = write_tar(tmp_path / "images.tar", BOTH, ["./train/d/"])
    for place in (path, archive):
        with pytest.raises(ConvnetError, match=f"{place}: class folder train/d holds no images"):
            opened(place)


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.xz"])
def test_a_damaged_archive_is_named(tmp_path, form):
    path = written(tmp_path, form, BOTH)
    whole = path.read_bytes()
    for content in (b"", b"no archive", *(whole[: len(whole) * percent // 100] for percent in range(1, 50, 4))):
        path.write_bytes(content)
        with pytest.raises(ConvnetError, match=f"{path}: cannot be read"):
            opened(path)


def test_a_share_beside_a_test_set(tmp_path):
    with pytest.raises(ConvnetError, match="a test share was given, but the data has a test set of its own"):
        opened(write_folder(tmp_path, BOTH), test_share=0.2)


def test_nothing_is_written(tmp_path):
    path = write_folder(tmp_path / "images", {**BOTH, "train/b/broken.png": b""})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConvnetError):
        opened(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_images_of_floating_point_numbers_are_refused(tmp_path):
    """Between 0 and 1 or 0 and 255, nobody knows."""
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 5), 0.5, np.float32)).save(stream, "tiff")
    path = write_folder(tmp_path / "images", {**BOTH, "train/a/deep.tif": stream.getvalue()})
    text = r"deep.tif: expected an image of 8 or 16 bits, found floating-point numbers$"
    with pytest.raises(ConvnetError, match=text):
        opened(path)
