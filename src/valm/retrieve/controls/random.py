"""Pictures that have nothing to do with the text: uniform rows, drawn for each token (VaLM-random).

The headline control: trained on it, a model has the same parameters, context and computation as
VaLM, and can learn only what does not depend on which pictures come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class Random:
    """K rows a token, independent and with replacement, also where nothing was retrieved."""

    reads_retrieved = False
    draws = True

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Draw for all tokens in order, so that a token's pictures follow from its position."""
        places = generator.integers(len(showable), size=ids.shape, dtype=np.int32)
        return Given(mask=np.ones(ids.shape, dtype=np.bool_), ids=showable.rows(places))


PLUGIN = Random()
