"""The pictures of the very thing that is asked about, found by name instead of by retrieval.

What is lost between it and the retrieved pictures, retrieval loses; what remains between it and the
right answer, the model does. ``prepare-task`` finds them, so the control exists at evaluation only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given


class Oracle:
    """The rows that it is handed, which are the things' own."""

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        table_rows: int,
        generator: np.random.Generator,
    ) -> Given:
        """Nothing is drawn; where there are fewer than K, the rest is row 0 behind a False mask."""
        return Given(mask=ids >= 0, ids=np.maximum(ids, 0))


PLUGIN = Oracle()
