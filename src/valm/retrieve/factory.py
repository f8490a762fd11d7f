"""faiss indices by factory string: what can be built from so many vectors, and built how.

Every k-means and every sample is seeded, and a job's threads are its rule's, so the
same vectors give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from valm.config.retrieve import Index
from valm.core.logs import logger
from valm.core.seeding import derive_seed, numpy_generator
from valm.errors import ConfigError, InputError
from valm.retrieve.keys import PictureKeys

# faiss asks for this many training vectors a centroid before it trusts them.
VECTORS_PER_CENTROID = 39
BLOCK_ROWS = 65_536
INVERTED_LISTS = re.compile(r"\bIVF\d+")
METRICS = {"inner_product": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
PRODUCT_QUANTISER = re.compile(r"\bPQ(\d+)(?:x(\d+))?")


def make_index(settings: Index, keys: PictureKeys, seed: int) -> faiss.Index:
    """Train an index on the keys and add all of them, in order, by their pictures' ids.

    Args:
        settings: Factory string, similarity, training sample and nprobe.
        keys: The keys of the pictures that it holds.
        seed: The study's seed.

    Raises:
        ConfigError: The factory string is no factory string, or asks for more than the keys hold.
        InputError: There are no keys, or one has a component that is no finite number.
    """
    index = trained_index(settings, keys, seed)
    if keys.ids is not None:
        index = faiss.IndexIDMap2(index)
    add_keys(index, settings, keys, range(len(keys)))
    return index


def trained_index(settings: Index, keys: PictureKeys, seed: int) -> faiss.Index:
    """An index without pictures, trained on the keys; it searches as many lists as it is told to.

    Raises:
        ConfigError: As ``make_index``.
        InputError: As ``make_index``.
    """
    rows = len(keys)
    if rows == 0:
        raise InputError(
            "there are no pictures to search", where=_key(settings),
            cure="give the study pictures, raise pictures_fraction, or take fewer down",
        )  # fmt: skip
    trained_on = _training_rows(settings, rows, seed)
    index = empty_index(settings, keys.width)
    _check_enough(index, settings, rows if isinstance(trained_on, slice) else len(trained_on))
    _prepare_training(index, derive_seed(seed, "index", settings.name) % 2**31)
    if not index.is_trained:
        index.train(_finite(keys.rows(trained_on), settings))
    if (lists := inverted_lists(index)) is not None:
        lists.nprobe = min(settings.nprobe, lists.nlist)
    return index


def add_keys(index: faiss.Index, settings: Index, keys: PictureKeys, places: range) -> None:
    """Add some of the keys, block by block, in order, by their pictures' ids.

    Args:
        places: Which of the keys that the index is to hold.

    Raises:
        InputError: A key has a component that is no finite number.
    """
    for first in places[::BLOCK_ROWS]:
        block = slice(first, min(first + BLOCK_ROWS, places.stop))
        rows = _finite(keys.rows(block), settings, first)
        if keys.ids is not None:
            index.add_with_ids(rows, keys.ids[block])
        elif places.start:
            index.add_with_ids(rows, np.arange(block.start, block.stop))
        else:
            index.add(rows)


def _finite(
    keys: NDArray[np.float32], settings: Index, first: int | None = None
) -> NDArray[np.float32]:
    """The keys, if they are numbers: k-means and every search with others would end in nonsense."""
    wrong = np.flatnonzero(~np.isfinite(keys).all(axis=1))
    if len(wrong):
        where = "" if first is None else f", the first is the {first + int(wrong[0]) + 1:,}th"
        raise InputError(
            f"{len(wrong):,} picture keys hold NaN or infinity{where}",
            where=f"{_key(settings)} (keys.npy)",
            cure="embed the pictures again; if it stays, the encoder's weights are broken",
        )
    return keys


def inverted_lists(index: faiss.Index) -> Any | None:
    """The part of an index that has inverted lists and ``nprobe``; None if it has none."""
    lists = faiss.try_extract_index_ivf(index)
    return None if lists is None else faiss.downcast_index(lists)


def bytes_per_vector(index: faiss.Index, stored: int) -> int:
    """Bytes by which each vector makes an index larger, whatever its kind; it is empty afterwards.

    Args:
        stored: Bytes of the index as it was written: a second copy in memory would be as large.
    """
    rows = index.ntotal
    index.reset()
    return round((stored - faiss.serialize_index(index).nbytes) / rows)


def _key(settings: Index) -> str:
    return f"retrieve.indices[{settings.name}].factory"


def _training_rows(settings: Index, rows: int, seed: int) -> slice | NDArray[np.int64]:
    """The keys that k-means sees: all, or a sample without replacement, in the order of the table."""
    wanted = settings.training_vectors
    if wanted is None or wanted >= rows:
        return slice(None)
    generator = numpy_generator(seed, "index training", settings.name)
    return np.sort(generator.choice(rows, wanted, replace=False, shuffle=False))


def empty_index(settings: Index, width: int) -> faiss.Index:
    """An untrained index of a factory string.

    Raises:
        ConfigError: The factory string is no factory string, or does not fit the keys.
    """
    try:
        return faiss.index_factory(width, settings.factory, METRICS[settings.similarity])
    except RuntimeError as error:
        cure = "use a faiss factory string such as Flat or IVF64,PQ48x8"
        if (quantiser := PRODUCT_QUANTISER.search(settings.factory)) is not None:
            parts = next(
                n for n in range(min(int(quantiser[1]), width) or 1, 0, -1) if width % n == 0
            )
            cure = f"the parts of PQ must divide {width}: PQ{parts} would"
        raise ConfigError(
            f"faiss cannot build {settings.factory!r} for keys of width {width}",
            where=_key(settings),
            cure=cure,
        ) from error


def _check_enough(index: faiss.Index, settings: Index, rows: int) -> None:
    """Refuse more centroids than pictures; say so where they are fewer than faiss advises."""
    for kind, centroids in _centroids(index):
        if centroids > rows:
            raise ConfigError(
                f"{centroids} {kind} cannot be trained on {rows} pictures",
                where=_key(settings),
                cure=f"use {_fitting(settings.factory, rows)}, or Flat",
            )
        if centroids * VECTORS_PER_CENTROID > rows:
            logger.info("%s: %d pictures are few for %d %s", _key(settings), rows, centroids, kind)


def _centroids(index: faiss.Index) -> Iterator[tuple[str, int]]:
    """What k-means will have to find in the keys, and how many of them."""
    if (lists := inverted_lists(index)) is not None:
        yield "inverted lists", lists.nlist
    if (quantised := product_quantiser(index)) is not None:
        yield "centroids of the product quantiser", quantised.pq.ksub


def _fitting(factory: str, rows: int) -> str:
    """The factory string with as many lists and centroids as so many pictures carry."""
    lists = 1 << (max(1, rows // VECTORS_PER_CENTROID).bit_length() - 1)
    factory = INVERTED_LISTS.sub(f"IVF{lists}", factory)
    bits = max(1, rows.bit_length() - 1)
    return PRODUCT_QUANTISER.sub(lambda m: f"PQ{m[1]}x{min(bits, int(m[2] or 8))}", factory)


def product_quantiser(index: faiss.Index) -> Any | None:
    """The index proper, behind transforms and inside lists, if it has a product quantiser."""
    lists = inverted_lists(index)
    inner = index if lists is None else lists
    while hasattr(inner, "index"):  # a transform before the index proper
        inner = faiss.downcast_index(inner.index)
    return inner if hasattr(inner, "pq") else None


def _prepare_training(index: faiss.Index, seed: int) -> None:
    """Seed every k-means; ``_check_enough`` has said what faiss would print to the terminal."""
    trained = []
    if (lists := inverted_lists(index)) is not None:
        trained.append(lists.cp)
    if (quantised := product_quantiser(index)) is not None:
        trained.append(quantised.pq.cp)
        # Reorders codes for a Hamming search that nobody does here: 75 s of annealing for PQ48x8.
        quantised.do_polysemous_training = False
    for clustering in trained:
        clustering.seed = seed
        clustering.min_points_per_centroid = 1
