"""Encoded pictures from outside become pictures of a known size and mode, or a reason why not."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # what the web and the packages hold
MINIMUM_SIDE_PIXELS = 16
LARGEST_ASPECT = 8


class Rejected(Exception):
    """A picture that cannot be used; the message is a short reason code."""


def decode_picture(data: bytes, maximum_megapixels: float, side_pixels: int) -> Image.Image:
    """Decode a picture's first frame and shrink it: RGB, or RGBA if it has transparency.

    Args:
        data: The encoded bytes; the format is taken from them, not from a name.
        maximum_megapixels: Larger pictures are rejected from the header, and so is what Pillow
            takes for a decompression bomb (above 179).
        side_pixels: Longer side of the result; smaller pictures keep their size.

    Raises:
        Rejected: With "not_a_picture", "too_large", "too_small", "too_long", "empty" or "damaged".
    """
    image = open_picture(data, maximum_megapixels, side_pixels)
    image.thumbnail((side_pixels, side_pixels), Image.Resampling.LANCZOS)
    if image.mode == "RGBA" and image.getchannel("A").getbbox() is None:
        raise Rejected("empty")
    return image


def open_picture(data: bytes, maximum_megapixels: float, side_pixels: int) -> Image.Image:
    """Decode a picture's first frame: RGB, or RGBA if it has transparency.

    Args:
        data: The encoded bytes; the format is taken from them, not from a name.
        maximum_megapixels: As for ``decode_picture``.
        side_pixels: A JPEG is decoded at the smallest of its scales whose sides are both this long.

    Raises:
        Rejected: With "not_a_picture", "too_large", "too_small", "too_long" or "damaged".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_header(file.size, maximum_megapixels)
            file.draft("RGB", (side_pixels, side_pixels))  # JPEG decodes near the wanted size
            return _eight_bits(file)
    except Rejected:
        raise
    except UnidentifiedImageError as error:
        raise Rejected("not_a_picture") from error
    except Image.DecompressionBombError as error:
        raise Rejected("too_large") from error
    except Exception as error:  # hostile bytes make decoders raise anything
        raise Rejected("damaged") from error


def encode_png(image: Image.Image) -> bytes:
    """Encode as PNG; equal pictures give equal bytes, and no profile or comment comes along."""
    buffer = io.BytesIO()
    bare = image.copy()
    bare.info = {}
    bare.save(buffer, "PNG")
    return buffer.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """The picture as RGB, transparency laid on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image).convert("RGB")


def _check_header(size: tuple[int, int], maximum_megapixels: float) -> None:
    width, height = size
    if width * height > maximum_megapixels * 1e6:
        raise Rejected("too_large")
    if min(width, height) < MINIMUM_SIDE_PIXELS:
        raise Rejected("too_small")
    if max(width, height) > LARGEST_ASPECT * min(width, height):
        raise Rejected("too_long")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Palette, 16-bit, CMYK and animated pictures as 8-bit RGB or RGBA."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("RGB")
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")
