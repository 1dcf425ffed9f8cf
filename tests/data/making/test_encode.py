"""One image: decoded, upright, scaled, cut, encoded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from convnet.data.decode import open_image
from convnet.data.making.encode import Form, plain_shape, stored
from convnet.errors import ConvnetError
from tests.data.photographs import jpeg, photograph

FORM, SQUARE = Form(32, square=False, quality=95), Form(32, square=True, quality=95)
ORIENTATION = 0x0112
# How the rows and columns of an upright image lie in a file of each orientation. Source: Exif 2.2, section 4.6.4.
LAID = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


def smooth(y, x):
    """Red is the row and green the column, from 20 to 235; blue is 90."""
    image = np.full((y, x, 3), 90, np.uint8)
    image[..., 0] = np.linspace(20, 235, y)[:, None]
    image[..., 1] = np.linspace(20, 235, x)
    return image


def file_of(array, form, mode=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def turned(number):
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float)


@pytest.mark.parametrize("form", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("number", LAID)
def test_images_are_turned_upright(form, number):
    upright = smooth(30, 50)
    content = file_of(np.ascontiguousarray(LAID[number](upright)), form, exif=turned(number))
    found = np.asarray(open_image(content, "RGB", "x")).astype(int)
    assert found.shape == upright.shape
    assert abs(found - upright).max() <= (12 if form == "jpeg" else 0)


BIG = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHHHIHHI", 8, 2, 0x010F, 3, 1, 77, 0, ORIENTATION, 3, 1, 6, 0, 0)


def test_notes_of_the_other_byte_order():
    upright = smooth(30, 50)
    content = file_of(np.ascontiguousarray(LAID[6](upright)), "png", exif=BIG)
    np.testing.assert_array_equal(np.asarray(open_image(content, "RGB", "x")), upright)


@pytest.mark.parametrize(
    "exif", [turned(0), turned(9), turned(65535), b"Exif\0\0II*\0\xff\xff\xff\xff", BIG[:16], b"?"]
)
def test_notes_that_mean_nothing(exif):
    found = open_image(file_of(smooth(30, 50), "png", exif=exif), "RGB", "x")
    np.testing.assert_array_equal(np.asarray(found), smooth(30, 50))


@pytest.mark.parametrize("source", [(75, 100), (100, 75), (20, 27), (64, 64), (1500, 2001), (32, 90)])
def test_the_short_side_is_brought_to_the_size(source):
    content, shape = stored(file_of(smooth(*source), "png"), "x", FORM)
    scale = 32 / min(source)
    assert shape == (round(source[0] * scale), round(source[1] * scale))
    found = decoded(content)
    assert found.shape == (*shape, 3)
    assert abs(found - smooth(*shape)).mean() < 3
    assert abs(found - smooth(*shape)).max() < 20


@pytest.mark.parametrize("source", [(75, 100), (100, 75), (20, 27), (1500, 2001)])
@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_the_square_is_that_in_the_middle(source, form):
    content, shape = stored(file_of(smooth(*source), form), "x", SQUARE)
    assert shape == (32, 32)
    found = decoded(content)
    y, x = (min(source) / side * 215 / 2 for side in source)
    for channel, half in ((0, y), (1, x)):
        profile = found[..., channel].mean(axis=1 - channel)
        expected = 127.5 + half * ((2 * np.arange(32) + 1) / 32 - 1)
        assert abs(profile - expected)[2:-2].max() < 7
    assert abs(found[..., 2] - 90).mean() < 4


def test_details_smaller_than_a_pixel_are_averaged():
    """Stripes one pixel wide become their mean, not stripes: all pixels count, and of JPEGs decoded smaller too."""
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 200
    for content in (file_of(stripes, "png"), jpeg(stripes, 100, subsampling=0)):
        assert abs(decoded(stored(content, "x", FORM)[0]) - 100).max() < 6


@pytest.mark.parametrize("quality", [50, 95])
def test_the_quality_is_that_asked_for(quality):
    content, _ = stored(file_of(photograph(1), "png"), "x", Form(64, square=True, quality=quality))
    tables = Image.open(io.BytesIO(content)).quantization
    assert tables == Image.open(io.BytesIO(jpeg(photograph(2, 64, 64), quality))).quantization
    assert plain_shape(content) == (64, 64)  # baseline


KEPT = {
    "colour": jpeg(photograph(0, 32, 43)),
    "grey": jpeg(photograph(1, 43, 32).convert("L")),
    "no subsampling": jpeg(photograph(1, 32, 40), subsampling=0),
    "upright by EXIF": jpeg(photograph(2, 32, 40), exif=turned(1)),
    "with a comment": jpeg(photograph(2, 32, 40), comment=b"words"),
    "poor": jpeg(photograph(2, 32, 40), quality=20),
}


def damaged():
    """A JPEG that Pillow decodes, but libjpeg complains of."""
    whole = jpeg(photograph(0, 32, 43), restart_marker_blocks=1)
    return whole.replace(b"\xff\xd3", b"\xff\xd5", 1)


CHANGED = {
    "larger": jpeg(photograph(0, 33, 43)),
    "smaller": jpeg(photograph(0, 31, 43)),
    "progressive": jpeg(photograph(0, 32, 43), progressive=True),
    "four colours": jpeg(photograph(0, 32, 43).convert("CMYK")),
    "turned by EXIF": jpeg(photograph(0, 32, 43), exif=turned(6)),
    "PNG": file_of(photograph(0, 32, 43), "png"),
    "damaged a little": damaged(),
}


@pytest.mark.parametrize("what", KEPT)
def test_kept_byte_for_byte(what):
    content, shape = stored(KEPT[what], "x", FORM)
    assert content == KEPT[what]
    assert shape == decoded(content).shape[:2]


@pytest.mark.parametrize("what", CHANGED)
def test_not_kept(what):
    content, shape = stored(CHANGED[what], "x", FORM)
    assert content != CHANGED[what]
    assert plain_shape(content) == shape
    assert min(shape) == 32


def test_a_square_is_kept_only_where_it_is_one():
    square, wide = jpeg(photograph(0, 32, 32)), jpeg(photograph(0, 32, 40))
    assert stored(square, "x", SQUARE) == (square, (32, 32))
    assert stored(wide, "x", SQUARE)[1] == (32, 32)


def expected_colours():
    """Of each form: the file's bytes and the colours it shows, exactly or nearly."""
    random = np.random.default_rng(1)
    colours, alpha = random.integers(0, 256, (32, 40, 3), np.uint8), random.integers(0, 256, (32, 40, 1), np.uint8)
    grey = colours[..., 0]
    inks = random.integers(0, 256, (32, 40, 4)).astype(np.uint8)
    ink_colours = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    deep = random.integers(0, 65536, (32, 40)).astype(np.uint16)
    palette = random.integers(0, 256, (256, 3)).astype(np.uint8)

    indices = Image.frombytes("P", (40, 32), grey.tobytes())
    indices.putpalette(palette.tobytes())
    return {
        "RGB": (file_of(colours, "png"), colours),
        "alpha": (file_of(np.concatenate((colours, alpha), axis=2), "png"), colours),
        "grey": (file_of(grey, "png"), grey[..., None]),
        "grey and alpha": (file_of(np.stack((grey, alpha[..., 0]), axis=2), "png"), grey[..., None]),
        "16 bits": (file_of(deep, "png"), np.floor(deep / 257 + 0.5)[..., None]),
        "palette": (file_of(indices, "png"), palette[grey]),
        "palette, one colour transparent": (file_of(indices, "png", transparency=7), palette[grey]),
        "palette, all half transparent": (file_of(indices, "png", transparency=bytes([128] * 256)), palette[grey]),
        "two colours": (file_of(Image.fromarray(grey > 99), "png"), (grey > 99)[..., None] * 255),
        "four inks": (file_of(Image.frombytes("CMYK", (40, 32), inks.tobytes()), "tiff"), ink_colours),
    }


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("what", expected_colours())
def test_all_kinds_of_colours(what):
    content, expected = expected_colours()[what]
    found = np.asarray(open_image(content, "RGB", "x")).astype(float)
    assert abs(found - expected).max() <= (1 if what == "four inks" else 0)
    again = decoded(stored(content, "x", Form(32, square=False, quality=100))[0])
    assert abs(again - found).mean() < 60  # noise, whose colours JPEG halves
    assert abs(again.mean(axis=(0, 1)) - found.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (30, 90, 200, 60), (0, 0, 0, 255)])
def test_jpegs_of_four_inks(inks):
    content = jpeg(Image.new("CMYK", (100, 75), inks))
    expected = [(255 - ink) * (255 - inks[3]) / 255 for ink in inks[:3]]
    assert abs(decoded(stored(content, "x", FORM)[0]) - expected).max() <= 4


def png_of_size(x, y):
    """The beginning of a PNG that says it is this large."""
    header = b"IHDR" + struct.pack(">IIBBBBB", x, y, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(bytes(99)))
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "format is unknown"),
        (b"no image", "format is unknown"),
        (jpeg(photograph(0))[:-200], "truncated"),
        (jpeg(photograph(0, 32, 40))[:-200], "truncated"),
        (file_of(photograph(0), "png")[:-3000], "truncated"),
        (png_of_size(30000, 30000), "decompression bomb"),
        (file_of(smooth(1, 3000), "png"), "too long for its width: would be stored with 96000x32 pixels"),
    ],
)
def test_what_is_no_image(content, text):
    with pytest.raises(ConvnetError, match=f"^a name: .*{text}"):
        stored(content, "a name", FORM)


def test_a_line_of_pixels_makes_a_square():
    assert stored(file_of(smooth(1, 3000), "png"), "x", SQUARE)[1] == (32, 32)
