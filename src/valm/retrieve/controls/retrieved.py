"""Each token's own nearest pictures: no control, the treatment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class Retrieved:
    """The rows as they were found; where nothing was found, row 0 behind a False mask."""

    reads_retrieved = True
    draws = False

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Nothing is drawn and nothing changed."""
        return Given(mask=ids >= 0, ids=np.maximum(ids, 0))


PLUGIN = Retrieved()
