"""JPEGs decoded for feeding: the bytes are Pillow's, and damage is told."""

import re

import numpy as np
import pytest
from PIL import Image

from convnet.data.jpeg import JpegDecoder
from convnet.errors import ConvnetError

from .stored_images import decoded, jpeg, picture


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("shape", [(37, 53), (16, 8), (1, 1)])
def test_colours_are_pillows(subsampling, progressive, shape):
    content = jpeg(picture(*shape, 1), subsampling=subsampling, progressive=progressive)
    image = JpegDecoder().decode(content, "x")
    assert (image.shape, image.dtype) == ((*shape, 3), np.uint8)
    np.testing.assert_array_equal(image, decoded(content))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_other_modes_become_rgb_as_with_pillow(mode):
    content = jpeg(picture(37, 53, 1).convert(mode))
    image = JpegDecoder().decode(content, "x")
    np.testing.assert_array_equal(image, decoded(content))
    assert image.shape == (37, 53, 3)
    np.testing.assert_array_equal(JpegDecoder().decode(content, "x", blue_first=True), decoded(content)[..., ::-1])


def test_one_buffer_serves_images_of_all_sizes():
    decoder = JpegDecoder()
    for seed, shape in enumerate([(8, 9), (40, 30), (12, 50), (40, 30)]):
        content = jpeg(picture(*shape, seed))
        np.testing.assert_array_equal(decoder.decode(content, "x"), decoded(content))
    first = decoder.decode(content, "x")
    assert np.shares_memory(first, decoder.decode(content, "x"))


WHOLE = jpeg(picture(37, 53, 1))


@pytest.mark.parametrize(
    "content",
    [b"", b"no image" * 99, WHOLE[:-200], WHOLE[: len(WHOLE) // 2], WHOLE[:100], WHOLE[300:]],
    ids=["empty", "text", "end missing", "half", "header", "beginning missing"],
)
def test_damage_is_told(content):
    with pytest.raises(ConvnetError, match=r"^batch 3, case 7: expected a JPEG, but it cannot be decoded: ."):
        JpegDecoder().decode(content, "batch 3, case 7")


def test_damage_in_cmyk_is_told():
    content = jpeg(picture(37, 53, 1).convert("CMYK"))
    with pytest.raises(ConvnetError, match=r"^case 7: expected an image, but it cannot be decoded"):
        JpegDecoder().decode(content[: len(content) // 2], "case 7")


def test_a_header_that_tells_of_a_huge_image():
    content = jpeg(Image.new("RGB", (53, 37)))
    marker = content.index(b"\xff\xc0") + 5  # of the frame: after it the height and the width
    huge = content[:marker] + b"\xff\x00\xff\x00" + content[marker + 4 :]
    text = "case 7: expected an image of at most 134217728 pixels, found 65280x65280"
    with pytest.raises(ConvnetError, match=re.escape(text)):
        JpegDecoder().decode(huge, "case 7")
