"""No pictures: every place is masked, and attention sees text alone.

What GPT-2* is trained with. At evaluation it switches a VaLM's retrieval off ("VaLM-distillation").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class NoPictures:
    """A mask that is False everywhere, and neither rows nor vectors."""

    reads_retrieved = False
    draws = False

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Nothing, for every token."""
        return Given(mask=np.zeros(ids.shape, dtype=np.bool_))


PLUGIN = NoPictures()
