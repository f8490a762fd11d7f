"""The query in place of its answers: each token's own text state as its single picture.

The state is rendered in the space of picture values, with the colour information that the encoder
reads off the text at the weight that pixels' colours have in a picture's value. What VaLM gains over
a model trained on this comes from looking pictures up, not from the encoder's text tower.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from valm.retrieve.given import Given
from valm.retrieve.showable import Showable


class TextState:
    """One vector a token (K = 1), a view of the values that it is handed."""

    reads_retrieved = True
    draws = False

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Every token has a state, so every mask is True."""
        own = values[..., np.newaxis, :]
        return Given(mask=np.ones(own.shape[:-1], dtype=np.bool_), values=own)


PLUGIN = TextState()
