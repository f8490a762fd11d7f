"""Pictures on a page: small copies inside it as data URIs, captions escaped, grids to look at.

Captions and picture bytes come from the wild. A caption is text, whatever it contains; bytes are
decoded and encoded anew, so that nothing but pixels reaches the page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from PIL import Image

from valm.report.exhibits import Passage

SIDE_PIXELS = 128
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAXIMUM_PIXELS = 1 << 24  # what a stored picture is far below; checked before decoding
MAXIMUM_CAPTION = 90


@dataclass(frozen=True)
class CaptionedPicture:
    """One stored picture: its encoded bytes as in the shard, and its caption as text."""

    data: bytes
    caption: str


def small_picture(data: bytes) -> Image.Image | None:
    """A picture's bytes as a small RGB or RGBA picture; None if they are no picture, or a huge one."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MAXIMUM_PIXELS:
                return None
            picture.draft("RGB", (SIDE_PIXELS, SIDE_PIXELS))
            small = picture.convert("RGBA" if _has_alpha(picture) else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS)
    return small


def data_uri(data: bytes) -> str:
    """A picture's bytes as a small WebP data URI; an empty string if they are no small picture."""
    small = small_picture(data)
    if small is None:
        return ""
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _has_alpha(picture: Image.Image) -> bool:
    return "A" in picture.getbands() or "transparency" in picture.info


def contact_sheet(pictures: Sequence[CaptionedPicture]) -> Passage:
    """A grid of pictures, each above its caption."""
    tiles = "".join(
        f"<li>{_image(picture)}{escape(_shortened(picture.caption))}</li>" for picture in pictures
    )
    return Passage(f'<ul class="pictures">{tiles}</ul>')


def retrieved_grid(
    prompts: Sequence[Mapping[str, Any]], pictures: Mapping[int, CaptionedPicture]
) -> Passage:
    """The pictures of each prompt's last token, best first, with captions and similarities.

    Args:
        prompts: ``{prompt, ids, scores}``: K picture ids and scores a token, -1 where none was found.
        pictures: The pictures by id.
    """
    sections = []
    for entry in prompts:
        found = [
            (pictures[number], score)
            for number, score in zip(entry["ids"][-1], entry["scores"][-1], strict=True)
            if number in pictures
        ]
        tiles = "".join(
            f"<figure>{_image(picture)}<figcaption>{escape(_shortened(picture.caption))}"
            f'<span class="score">{score:.2f}</span></figcaption></figure>'
            for picture, score in found
        )
        row = f'<div class="row">{tiles}</div>' if found else '<p class="missing">nothing found</p>'
        sections.append(f"<section><p>{escape(entry['prompt'])} …</p>{row}</section>")
    return Passage(f'<div class="retrieved">{"".join(sections)}</div>')


def _image(picture: CaptionedPicture) -> str:
    uri = data_uri(picture.data)
    return f'<img src="{uri}" alt="{escape(picture.caption)}">'


def _shortened(caption: str) -> str:
    if len(caption) <= MAXIMUM_CAPTION:
        return caption
    return caption[: MAXIMUM_CAPTION - 1].rstrip() + "…"
