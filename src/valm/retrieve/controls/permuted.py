"""The pictures of other tokens: the table's rows are shuffled once, all else stays.

Every statistic of the retrieved rows survives (how often each distinct row comes, which tokens
share one, how many are found), only which picture it is does not. What a model trained on retrieved
pictures loses here, it had read off the right pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class Permuted:
    """One permutation of the pictures that may be shown, for all tokens."""

    reads_retrieved = True
    draws = True

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Send every row through the permutation that the generator draws first."""
        shuffled = showable.rows(generator.permutation(len(showable)))
        places = showable.places(np.maximum(ids, 0))
        return Given(mask=ids >= 0, ids=shuffled[places])


PLUGIN = Permuted()
