"""How large indices and neighbour tables will be, from their settings alone."""

from __future__ import annotations

import numpy as np

from valm.config.retrieve import Index, Preset
from valm.retrieve.factory import empty_index, inverted_lists, product_quantiser
from valm.retrieve.neighbours import layout

ID_BYTES = 8  # faiss numbers what lies in a list, and what is a share of the pictures, by int64


def index_bytes(settings: Index, width: int, pictures: int) -> int:
    """Bytes of an index: the code of each picture that it holds, its id where it has one, the centroids.

    Args:
        settings: The index's entry in ``retrieve.indices``.
        width: Of the keys.
        pictures: In the image base.

    Raises:
        ConfigError: The factory string does not fit the keys.
    """
    held = round(pictures * settings.pictures_fraction)
    index = empty_index(settings.holding(held), width)
    lists, coder = inverted_lists(index), product_quantiser(index)
    code = int(index.sa_code_size() if lists is None else lists.code_size)
    ids = (lists is not None) + (settings.pictures_fraction < 1)
    centroids = 0 if lists is None else int(lists.nlist) * int(lists.d) * 4
    if coder is not None:
        centroids += int(coder.pq.M * coder.pq.ksub * coder.pq.dsub) * 4
    return held * (code + ids * ID_BYTES) + centroids


def neighbour_bytes(preset: Preset, top_k: int, value_width: int) -> int:
    """Bytes a token of a preset's tables.

    Args:
        preset: Whether there are tables, and text states are kept.
        top_k: Pictures a token.
        value_width: Of a text state.
    """
    if preset.mode == "online":
        return 0
    columns = layout(top_k, value_width if preset.text_states else 0)
    return sum(width * np.dtype(dtype).itemsize for width, dtype in columns.values())
