"""Encoded pictures as the square of bytes that a picture tower reads, decoded by worker processes.

Nothing here imports torch: a worker is a fresh process, and it starts in a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from valm.embed.batches import batches
from valm.errors import ValmError
from valm.ingest.pictures.decoding import Rejected, on_white, open_picture

PICTURES_PER_CHUNK = 16  # what a worker is handed at once
CHUNKS_AHEAD = 3  # for each worker; bounds the memory


@dataclass(frozen=True)
class PictureForm:
    """How a picture becomes a tower's input, but for the scaling of its channels.

    Attributes:
        side_pixels: Side of the square.
        squash: The picture is stretched to the square; else its shorter side is scaled to the square's
            and the middle is kept.
        bilinear: Scaled bilinearly; else bicubically.
        maximum_megapixels: Larger pictures are rejected from their header, before decoding.
    """

    side_pixels: int
    squash: bool = False
    bilinear: bool = False
    maximum_megapixels: float = 40.0

    def of(self, data: bytes) -> NDArray[np.uint8]:
        """The form of an encoded picture, [3, side, side].

        Raises:
            Rejected: As ``open_picture``.
        """
        picture = on_white(open_picture(data, self.maximum_megapixels, self.side_pixels))
        return self.of_rgb(picture)

    def of_rgb(self, picture: Image.Image) -> NDArray[np.uint8]:
        """The form of an RGB picture, [3, side, side]; torchvision's Resize and CenterCrop."""
        side, scaling = self.side_pixels, Image.Resampling.BICUBIC
        if self.bilinear:
            scaling = Image.Resampling.BILINEAR
        size = (side, side)
        if not self.squash:
            short = min(picture.size)
            size = (side * picture.width // short, side * picture.height // short)
        scaled = picture if picture.size == size else picture.resize(size, scaling)
        left, top = (round((length - side) / 2) for length in size)
        square = scaled.crop((left, top, left + side, top + side))
        return np.asarray(square).transpose(2, 0, 1)


@dataclass(frozen=True)
class Decoded:
    """A sample of a shard: its form, or the reason why it has none."""

    key: str
    pixels: NDArray[np.uint8] | None
    reason: str | None = None


def decode(samples: list[tuple[str, bytes | str]], form: PictureForm) -> list[Decoded]:
    """Decode some samples: key, and encoded bytes or the reason why there are none."""
    found = []
    for key, data in samples:
        if isinstance(data, str):
            found.append(Decoded(key, None, data))
            continue
        try:
            found.append(Decoded(key, form.of(data)))
        except Rejected as reason:
            found.append(Decoded(key, None, str(reason)))
    return found


class Decoders:
    """A pool of decoding processes, as a context manager.

    Args:
        form: What pictures become.
        workers: Processes; 0: this one decodes.
    """

    def __init__(self, form: PictureForm, workers: int):
        self._form, self._workers = form, workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Decoders:
        if self._workers:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, spawn)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def decoded(self, samples: Iterable[tuple[str, bytes | str]]) -> Iterator[Decoded]:
        """The samples decoded, in their order; only so many are in memory at once.

        Raises:
            ValmError: The system has ended a decoding process.
        """
        chunks = batches(samples, PICTURES_PER_CHUNK)
        if self._pool is None:
            for chunk in chunks:
                yield from decode(chunk, self._form)
            return
        coming: deque[Future[list[Decoded]]] = deque()
        try:
            for chunk in chunks:
                coming.append(self._pool.submit(decode, chunk, self._form))
                if len(coming) > CHUNKS_AHEAD * self._workers:
                    yield from coming.popleft().result()
            while coming:
                yield from coming.popleft().result()
        except BrokenProcessPool as error:
            raise ValmError(
                "a process that decodes pictures was ended, as a system does whose memory is full",
                cure="run the same command again, with fewer --workers; finished shards are kept",
            ) from error
