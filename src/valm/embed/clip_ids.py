"""CLIP's ids of the study's, for the kinds of vocabulary that hold CLIP's entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.ingest.text.fairseq import END_OF_LINE, SPECIAL_ENTRIES

START_OF_TEXT, END_OF_TEXT = 49_406, 49_407
FILLING = 0  # what the official code puts for fairseq's padding: CLIP's "!"


def _behind_fairseqs() -> NDArray[np.int64]:
    """CLIP's id of each id of fairseq's layout: ``</s>`` is the end of text (VALM.md 3.1)."""
    special = np.full(len(SPECIAL_ENTRIES), FILLING)
    special[END_OF_LINE] = END_OF_TEXT
    return np.concatenate([special, np.arange(END_OF_TEXT + 1)])


CLIP_IDS = {"clip": np.arange(END_OF_TEXT + 1), "clip_fairseq": _behind_fairseqs()}
