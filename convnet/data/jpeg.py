"""JPEGs as fast as libjpeg-turbo decodes them, one after the other into the same buffer."""

from __future__ import annotations

import numpy as np
import simplejpeg

from convnet.data.augment import Array
from convnet.data.decode import open_image
from convnet.errors import ConvnetError

MOST_PIXELS = 2**27  # of an image; a header that tells of more is damaged or means harm
_PLAIN = ("YCbCr", "RGB", "Gray")  # what simplejpeg brings to RGB as it should; of CMYK it makes wrong colours


class JpegDecoder:
    """Decodes into a scratch buffer that grows with the largest image."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.uint8)

    def decode(self, content: bytes, name: str, *, blue_first: bool = False) -> Array:
        """The image (y, x, 3) in RGB, or in BGR, uint8, which stays as it is until the next one is decoded.

        The bytes are those of libjpeg-turbo's accurate transform and smooth upsampling of colours, as Pillow's are.

        Raises ConvnetError naming `name` where `content` is not a whole JPEG.
        """
        try:
            y, x, colours, _ = simplejpeg.decode_jpeg_header(content)
            if y * x > MOST_PIXELS:
                raise ConvnetError(f"{name}: expected an image of at most {MOST_PIXELS} pixels, found {x}x{y}")
            if colours not in _PLAIN:
                return np.asarray(open_image(content, "RGB", name))[..., :: -1 if blue_first else 1]
            if self._buffer.size < y * x * 3:
                self._buffer = np.empty(y * x * 3, np.uint8)
            image: Array = simplejpeg.decode_jpeg(content, "BGR" if blue_first else "RGB", buffer=self._buffer)
        except ValueError as error:
            raise ConvnetError(f"{name}: expected a JPEG, but it cannot be decoded: {error}") from error
        return image
