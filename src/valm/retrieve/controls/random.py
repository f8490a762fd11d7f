"""Pictures that have nothing to do with the text: uniform rows, drawn for each token (VaLM-random).

The headline control: trained on it, a model has the same parameters, context and computation as
VaLM, and can learn only what does not depend on which pictures come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given


class Random:
    """K rows a token, independent and with replacement, also where nothing was retrieved."""

    reads_retrieved = False

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        table_rows: int,
        generator: np.random.Generator,
    ) -> Given:
        """Draw for all tokens in order, so that a token's pictures follow from its position."""
        rows = generator.integers(table_rows, size=ids.shape, dtype=np.int32)
        return Given(mask=np.ones(ids.shape, dtype=np.bool_), ids=rows)


PLUGIN = Random()
