"""Pictures that say nothing: vectors of zeros in all K places, seen by attention like any other.

Unlike ``none``, the places take their share of the softmax: it asks what remains when the pictures
are empty, not when they are gone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class Zero:
    """Zero vectors with a True mask."""

    reads_retrieved = False
    draws = False

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """One zero seen through all shapes: a whole stream's worth takes no memory."""
        zeros = np.broadcast_to(np.zeros((), np.float16), (*ids.shape, values.shape[-1]))
        return Given(mask=np.ones(ids.shape, dtype=np.bool_), values=zeros)


PLUGIN = Zero()
