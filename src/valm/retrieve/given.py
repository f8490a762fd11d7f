"""What a language model is given to look at, and the controls that put something else in its place.

A comparison of "with pictures" and "without" also compares two amounts of computation, of context
and of parameters. The controls keep all of that and change only what the pictures say, so that a
difference to them is a difference that the pictures make (VaLM's "random" ablation, and the text
state of Blind-VaLM). Training and evaluation both come through ``give``, with the same seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from valm.core.registry import Registry
from valm.core.seeding import numpy_generator
from valm.retrieve.showable import Showable


@dataclass(frozen=True)
class Given:
    """The pictures of every token: rows of the picture table, or vectors of its own, or neither.

    Attributes:
        mask: bool [..., K]: True where there is a picture.
        ids: int32 [..., K]: rows of the picture table. All of them exist, also where the mask is
            False, so that a gather never reads the last row for "nothing found".
        values: float16 [..., K, V]: the vectors themselves, in place of rows.
    """

    mask: NDArray[np.bool_]
    ids: NDArray[np.int32] | None = None
    values: NDArray[np.float16] | None = None

    def at(self, places: NDArray[np.int64]) -> Given:
        """What the tokens at some places are given."""
        return Given(
            self.mask[places],
            None if self.ids is None else self.ids[places],
            None if self.values is None else self.values[places],
        )


class Control(Protocol):
    """One answer to the question: what is a token given?

    Attributes:
        reads_retrieved: Whether that depends on what was retrieved for the token, and on nothing but it.
            Otherwise nothing needs to be retrieved.
        draws: Whether it shows pictures that were not retrieved for the token, and so has to know which
            have been taken down.
    """

    reads_retrieved: bool
    draws: bool

    def pictures(
        self,
        ids: NDArray[np.int32],
        values: NDArray[np.float16],
        showable: Showable,
        generator: np.random.Generator,
    ) -> Given:
        """Decide for all tokens of a stream or of a task at once.

        Args:
            ids: [..., K] rows that were retrieved, -1 where nothing was found; may be mapped.
            values: [..., V] each token's own text state as a picture value; may be mapped.
            showable: The pictures that may be drawn.
            generator: Freshly seeded: one call draws for every token, by its position.
        """
        ...


CONTROLS: Registry[Control] = Registry("picture control", "valm.retrieve.controls")


def reads_retrieved(control: str) -> bool:
    """Whether a control gives a token what follows from what was retrieved for it.

    Raises:
        ConfigError: There is no such control.
    """
    return CONTROLS.get(control).reads_retrieved


def draws(control: str) -> bool:
    """Whether a control shows pictures that were not retrieved for the token.

    Raises:
        ConfigError: There is no such control.
    """
    return CONTROLS.get(control).draws


def give(
    control: str,
    ids: NDArray[Any],
    values: NDArray[Any],
    showable: Showable,
    seed: int,
) -> Given:
    """What a control gives to all tokens; the same seed gives the same, in training and after it.

    Args:
        control: Name of a registered picture control.
        ids: int32 [..., K], -1 where nothing was found.
        values: float16 [..., V].
        showable: The pictures that may be drawn.
        seed: The study's seed; the control's name makes its own stream of it.

    Raises:
        ConfigError: There is no such control.
    """
    generator = numpy_generator(seed, "picture control", control)
    return CONTROLS.get(control).pictures(ids, values, showable, generator)
